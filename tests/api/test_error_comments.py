"""What the comments of the contract say of errors, against the pages that say it again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.support.error_page import PAGE, reasons_of_page

ROOT = Path(__file__).parents[2]
CONTRACT = sorted((ROOT / "proto" / "jobsvc" / "v1").glob("*.proto"))

#: In the contract, and raised by nothing yet.
TO_COME = {"ROLE_REQUIRED", "SLOW_CONSUMER"}
#: `CODE` (`REASON`, `REASON`)
_ERRORS = re.compile(r"`([A-Z_]+)`\s+\((`[A-Z_]+`(?:(?:, | and | or )`[A-Z_]+`)*)\)")
_COMMENT = re.compile(r"^\s*//\s?", re.MULTILINE)
_METHOD = re.compile(r"((?:^ *//.*\n)+) +rpc (\w+)\(", re.MULTILINE)
_SERVICE = re.compile(r"((?:^//.*\n)+)service (\w+) \{\n((?:(?!\}).*\n)*)", re.MULTILINE)


def told(comment: str) -> set[tuple[str, str]]:
    """Code and reason of each error that a comment names so."""
    text = re.sub(r"\s+", " ", _COMMENT.sub("", comment))
    return {
        (code, reason)
        for code, reasons in _ERRORS.findall(text)
        for reason in re.findall(r"[A-Z_]+", reasons)
    }


def services() -> Iterator[tuple[str, str, str]]:
    """Each service with its comment and its text."""
    for path in CONTRACT:
        for comment, service, body in _SERVICE.findall(path.read_text()):
            yield service, comment, body


def methods() -> Iterator[tuple[str, str]]:
    """Each method with its comment."""
    for service, _, body in services():
        for comment, name in _METHOD.findall(body):
            yield f"{service}.{name}", comment


def test_comments_are_read() -> None:
    found = dict(methods())
    assert len(found) >= 27
    assert told(found["JobService.RetryJob"]) == {
        ("FAILED_PRECONDITION", "JOB_STATE_CONFLICT"),
        ("ALREADY_EXISTS", "UNIQUE_KEY_TAKEN"),
        ("NOT_FOUND", "QUEUE_NOT_FOUND"),
        ("ABORTED", "ETAG_MISMATCH"),
    }


@pytest.mark.parametrize("path", CONTRACT, ids=lambda path: path.stem)
def test_every_error_of_a_comment_is_on_the_page_with_its_code(path: Path) -> None:
    page = reasons_of_page()
    assert len(page) > 25
    comments = re.findall(r"(?:^ *//.*\n)+", path.read_text(), re.MULTILINE)
    for code, reason in set().union(*map(told, comments)):
        assert page.get(reason, code if reason in TO_COME else "") == code, reason


def test_every_reason_of_the_page_is_in_the_contract() -> None:
    contract = "".join(path.read_text() for path in CONTRACT)
    missing = [reason for reason in reasons_of_page() if f"`{reason}`" not in contract]
    assert missing == []


def test_page_has_the_errors_of_every_method() -> None:
    rows = {
        method: set(re.findall(r"`([A-Z_]+)`", reasons))
        for method, reasons in re.findall(r"^\| (\w+\.\w+) \|(.*)\|$", PAGE, re.MULTILINE)
    }
    comments = dict(methods())
    wanted = {name: {reason for _, reason in told(text)} for name, text in comments.items()}
    for name, text in comments.items():
        for other in re.findall(r"Fails as\s+(?://\s+)?`(\w+)` does", text):
            wanted[name] |= wanted[f"{name.split('.')[0]}.{other}"]
    assert rows == wanted


def test_page_has_the_errors_of_all_methods() -> None:
    for service, comment, _ in services():
        [line] = re.findall(rf"^- `{service}`: (.*)$", PAGE, re.MULTILINE)
        said = {reason for _, reason in told(comment)}
        assert set(re.findall(r"`([A-Z]+_[A-Z_]+)`", line)) == said, service
