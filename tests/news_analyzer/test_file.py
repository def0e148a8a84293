"""File URLs: only regular files below the allowed roots."""

import os
from pathlib import Path

import pytest

from jobsvc.worker import Fail
from workers.news_analyzer.local_file import read_file_document
from workers.news_analyzer.policy import ReadPolicy, read_policy


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "inner").mkdir()
    (tmp_path / "root" / "news.html").write_bytes(b"<p>News</p>")
    (tmp_path / "root" / "inner" / "n\u00e4chste nachricht.TXT").write_bytes(b"News")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return tmp_path / "root"


def fail(address: str, root: Path, max_bytes: int = 100) -> str:
    with pytest.raises(Fail) as caught:
        read_file_document(address, ReadPolicy(file_roots=(root,), max_bytes=max_bytes))
    return caught.value.reason


def test_file_is_read_and_typed_by_its_ending(root: Path) -> None:
    policy = ReadPolicy(file_roots=(root,))
    document = read_file_document((root / "news.html").as_uri(), policy)
    assert (document.body, document.content_type) == (b"<p>News</p>", "text/html")
    path = root / "inner" / "n\u00e4chste nachricht.TXT"
    for address in (path.as_uri(), f"file://localhost{path}", f"FILE:{path}"):
        assert read_file_document(address, policy).content_type == "text/plain"


def test_link_inside_the_root_is_followed(root: Path) -> None:
    (root / "link.html").symlink_to("inner/../news.html")
    policy = ReadPolicy(file_roots=(root,))
    assert read_file_document((root / "link.html").as_uri(), policy).body == b"<p>News</p>"


def test_root_may_itself_be_a_link(root: Path) -> None:
    (root.parent / "alias").symlink_to(root)
    policy = ReadPolicy(file_roots=(root.parent / "alias",))
    assert read_file_document((root / "news.html").as_uri(), policy).body == b"<p>News</p>"


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "../missing.txt", "inner/../../secret.txt", "", ".", "%2e%2e/secret.txt"],
)
def test_path_outside_the_root_is_refused(root: Path, path: str) -> None:
    assert fail(f"file://{root}/{path}", root) == "PATH_NOT_ALLOWED"


def test_link_out_of_the_root_is_refused(root: Path) -> None:
    (root / "out.txt").symlink_to(root.parent / "secret.txt")
    (root / "up").symlink_to(root.parent)
    assert fail(f"file://{root}/out.txt", root) == "PATH_NOT_ALLOWED"
    assert fail(f"file://{root}/up/secret.txt", root) == "PATH_NOT_ALLOWED"


def test_directory_beside_the_root_with_its_name_as_prefix_is_refused(root: Path) -> None:
    beside = root.with_name("root-2")
    beside.mkdir()
    (beside / "a.txt").write_bytes(b"a")
    assert fail((beside / "a.txt").as_uri(), root) == "PATH_NOT_ALLOWED"


def test_no_roots_mean_no_files(root: Path) -> None:
    with pytest.raises(Fail) as caught:
        read_file_document((root / "news.html").as_uri(), ReadPolicy())
    assert caught.value.reason == "PATH_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.html", "DOCUMENT_NOT_FOUND"),
        ("news.html/more.html", "DOCUMENT_NOT_FOUND"),
        ("a" * 300 + ".html", "DOCUMENT_NOT_FOUND"),
        ("loop.html", "DOCUMENT_NOT_FOUND"),
        ("inner", "UNSUPPORTED_CONTENT"),
        ("pipe", "UNSUPPORTED_CONTENT"),
        ("picture.png", "UNSUPPORTED_CONTENT"),
        ("large.txt", "TOO_LARGE"),
        ("news.html?a=b", "URL_INVALID"),
        ("news%00.html", "URL_INVALID"),
    ],
)
def test_file_is_refused(root: Path, path: str, reason: str) -> None:
    (root / "loop.html").symlink_to("loop.html")
    os.mkfifo(root / "pipe")
    (root / "large.txt").write_bytes(b"x" * 101)
    assert fail(f"file://{root}/{path}", root) == reason


@pytest.mark.parametrize(
    "address", ["file:", "file:relative.txt", "file://elsewhere/a.txt", "file://[/a", "file:///%00"]
)
def test_address_that_names_no_local_file_is_refused(root: Path, address: str) -> None:
    assert fail(address, root) == "URL_INVALID"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_refused(root: Path) -> None:
    (root / "news.html").chmod(0)
    assert fail((root / "news.html").as_uri(), root) == "ACCESS_DENIED"


def test_default_policy_is_the_working_directory_and_public_addresses(tmp_path: Path) -> None:
    assert read_policy({}, tmp_path) == ReadPolicy(file_roots=(tmp_path,))


def test_policy_follows_the_environment(tmp_path: Path) -> None:
    environ = {"NEWS_ANALYZER_FILE_ROOTS": "/a:/b c:", "NEWS_ANALYZER_ALLOW_PRIVATE": "True"}
    expected = ReadPolicy(file_roots=(Path("/a"), Path("/b c")), allow_private=True)
    assert read_policy(environ, tmp_path) == expected
    assert read_policy({"NEWS_ANALYZER_FILE_ROOTS": ""}, tmp_path).file_roots == ()
    assert not read_policy({"NEWS_ANALYZER_ALLOW_PRIVATE": "0"}, tmp_path).allow_private
