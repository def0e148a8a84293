"""Texts of others forge no line of a log and command no terminal."""

import json
import logging
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.plain_text import LogFormatter, has_controls, json_text, lines, one_line

#: Letters, and many that are none.
TEXTS = st.text(
    st.sampled_from("aä\U0001f422\0\x07\t\n\r\x1b\x7f\x85\x9b\u2028\u2029") | st.characters()
)


def _controls(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp")}


@given(TEXTS)
def test_one_line_is_one_line_without_controls(text: str) -> None:
    assert has_controls(text) == bool(_controls(text))
    escaped = one_line(text)
    assert not _controls(escaped)
    assert len(escaped.splitlines()) <= 1
    if not has_controls(text):
        assert escaped == text


@given(TEXTS)
def test_lines_keep_breaks_and_tabs_only(text: str) -> None:
    escaped = lines(text)
    assert _controls(escaped) <= {"\n", "\t"}
    assert lines(escaped) == escaped
    assert escaped.count("\n") == text.count("\n")


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_json_says_the_same(value: object) -> None:
    text = json_text(json.dumps(value, indent=1, ensure_ascii=False))
    assert json.loads(text) == value
    assert _controls(text) <= {"\n"}


def _logged(message: str, *values: object, error: Exception | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("n", logging.INFO, "", 0, message, values, info)
    return LogFormatter().format(record)


def test_record_stays_one_line_whatever_it_quotes() -> None:
    text = _logged("work stream of %s ended", "w\n2026-01-01 INFO jobsvc: all is well\x1b[2J")
    assert text.splitlines() == [text]
    assert text.endswith(r"work stream of w\n2026-01-01 INFO jobsvc: all is well\x1b[2J ended")


def test_lines_of_a_stack_trace_are_told_from_records() -> None:
    try:
        raise ValueError("x\n2026-01-01 INFO jobsvc: all is well\x1b[2J")
    except ValueError as error:
        first, *others = _logged("it failed", error=error).splitlines()
    assert first.endswith("it failed")
    assert others[0] == "  Traceback (most recent call last):"
    assert others[-1] == r"  2026-01-01 INFO jobsvc: all is well\x1b[2J"
    assert all(line.startswith("  ") for line in others)


@pytest.mark.parametrize("text", ["", "ä b", "a=b\U0001f422", "\u200f"])
def test_what_is_plain_stays_as_it_is(text: str) -> None:
    assert one_line(text) == lines(text) == text


def test_commands_log_so() -> None:
    code = """
import logging
from jobsvc.cli.startup import log_to_stderr
log_to_stderr()
logging.warning("one\\ntwo")
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.endswith("WARNING root: one\\ntwo\n")
