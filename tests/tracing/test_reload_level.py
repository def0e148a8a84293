"""SIGHUP takes the level of the log from a file, and nothing that it does not understand."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobsvc.tracing.stderr_log import read_env_file, reload_level

OURS = logging.getLogger("jobsvc")


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """The level before and after each test."""
    before = OURS.level
    OURS.setLevel(logging.INFO)
    yield
    OURS.setLevel(before)


def test_file_is_read_as_service_managers_and_docker_read_it() -> None:
    text = "# A\n; B\n\nA=1\n B = 2 \nC='x y'\nD=\"\"\nE=a=b\nF='\nnothing\nA=3\n"
    assert read_env_file(text) == {"A": "3", "B": "2", "C": "x y", "D": "", "E": "a=b", "F": "'"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("JOBSVC_LOG_LEVEL=debug\n", logging.DEBUG),
        ("JOBSVC_LOG_LEVEL='ERROR'\nJOBSVC_DSN=x\n", logging.ERROR),
        ("JOBSVC_LOG_LEVEL=\n", logging.INFO),
        ("", logging.INFO),
    ],
)
def test_level_is_that_of_the_file_and_told_at_any_level(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    text: str,
    found: int,
) -> None:
    path = tmp_path / "log.env"
    path.write_text(text)
    monkeypatch.setenv("JOBSVC_ENV_FILE", str(path))
    OURS.setLevel(logging.ERROR)
    reload_level()
    assert OURS.level == found
    assert f"the level of the log is {logging.getLevelName(found)}" in caplog.text


@pytest.mark.parametrize("content", [b"JOBSVC_LOG_LEVEL=loud", b"\xff", None])
def test_file_that_cannot_be_used_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    content: bytes | None,
) -> None:
    path = tmp_path / "log.env"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("JOBSVC_ENV_FILE", str(path))
    reload_level()
    assert OURS.level == logging.INFO
    assert "the level of the log stays as it is" in caplog.text


def test_without_a_file_there_is_nothing_to_read(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("JOBSVC_ENV_FILE", raising=False)
    reload_level()
    assert OURS.level == logging.INFO
    assert "JOBSVC_ENV_FILE is unset" in caplog.text
