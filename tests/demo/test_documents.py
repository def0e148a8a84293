"""The demo has enough real documents, and a web site that fails the way it should."""

from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from jobsvc.demo.documents import (
    MAX_CHARACTERS,
    all_documents,
    licence_path,
    package_documents,
)
from jobsvc.demo.readme_text import readme_text
from jobsvc.demo.site import ARTICLE, BROKEN, BUSY, serve_site


def test_every_installation_has_more_than_twenty_documents(tmp_path: Path) -> None:
    documents = all_documents("http://site", tmp_path / "LICENSE")
    assert len(documents) == 25
    assert len({d.title for d in documents}) == 25
    texts = [d.input["articleText"] for d in documents if "articleText" in d.input]
    assert len(set(texts)) == len(texts) == 21
    assert all(len(text) <= MAX_CHARACTERS for text in texts)
    urls = [d.input["articleUrl"] for d in documents if "articleUrl" in d.input]
    assert [url.partition(":")[0] for url in urls] == ["http", "file", "http", "http"]


def test_a_missing_licence_costs_one_document() -> None:
    assert len(all_documents("http://site", None)) == 24


def package(folder: Path, name: str, description: str) -> Distribution:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n\n{description}\n"
    (info / "METADATA").write_text(text)
    return Distribution.at(info)


def test_longest_descriptions_come_first_and_copies_once(tmp_path: Path) -> None:
    installed = [
        package(tmp_path, "short", "too short to analyse"),
        package(tmp_path, "long", "long " * 200),
        package(tmp_path, "longer", "longer " * 200),
        package(tmp_path, "copy", "longer " * 200),
    ]
    found = package_documents(5, installed)
    assert [d.title for d in found] == ["longer 1.0", "long 1.0"]
    assert [d.title for d in package_documents(1, installed)] == ["longer 1.0"]


def test_words_stay_and_markup_goes() -> None:
    markdown = """# Rich

[![Build](https://ci/badge.svg)](https://ci/build) <img src="x.png" alt="y"/>
<!-- a comment
of two lines -->
Read [the *guide*](https://docs/guide) or see https://example.org/a?b=c.

[ci]: https://ci
```
a < b and b > c
```
"""
    assert readme_text(markdown).split() == [
        *["#", "Rich", "Read", "the", "*guide*", "or", "see"],
        *["a", "<", "b", "and", "b", ">", "c"],
    ]
    rest = """Title
=====

.. image:: https://ci/badge.svg
   :target: https://ci

Read `the guide <https://docs/guide>`_ first."""
    assert readme_text(rest).split() == ["Title", "Read", "the", "guide", "first."]


def test_licence_is_a_file_of_an_installed_package() -> None:
    path = licence_path()
    assert path is not None
    assert len(path.read_text()) > 1000


@pytest.fixture
def site() -> Iterator[str]:
    with serve_site() as url:
        yield url


def get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as e:
        with e:
            return e.code, e.read().decode()


def test_article_has_a_page_around_its_text(site: str) -> None:
    status, page = get(site + ARTICLE)
    assert status == 200
    assert "cookie" in page
    assert "A ledger on the counter" in page


def test_busy_page_works_from_the_second_request_on(site: str) -> None:
    assert [get(site + BUSY)[0] for _ in range(3)] == [503, 200, 200]


def test_broken_page_never_works(site: str) -> None:
    assert [get(site + BROKEN)[0] for _ in range(3)] == [503, 503, 503]


def test_unknown_page_is_not_found(site: str) -> None:
    assert get(site + "/other")[0] == 404
