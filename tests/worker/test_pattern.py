"""Patterns of Python types, as a schema spells them."""

import re

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.worker.pattern import PatternInvalid, portable_pattern

_SPELLED = {
    r"^[a-z]+$": r"^[a-z]+$",
    r"^\S{2,}$": r"^[^\s\x1c-\x1f\x85]{2,}$",
    r"\d{3}-\d{4}": r"[0-9]{3}-[0-9]{4}",
    r"^https?://[^\s/]+/": r"^https?:\/\/[^\s\x1c-\x1f\x85\/]+\/",
    r"^.[\w.]+\Z": r"^[^\n][A-Za-z0-9_\.]+$",
    r"^(?:(?P<n>ab)|[^c]+?){1,2}\s?$": r"^(?:(?:ab)|[^c]+?){1,2}[ \t\n\r\f\v]?$",
    r"^[^a][\]\-\\^&~]$": r"^[^a][\]\-\\\^\x26\x7e]$",
    "^é|[à-ù]\\x00$": r"(?:^é|[à-ù]\x00$)",
    "": "",
}


@pytest.mark.parametrize(("pattern", "spelled"), _SPELLED.items())
def test_pattern_is_spelled_for_every_language(pattern: str, spelled: str) -> None:
    assert portable_pattern(pattern) == spelled
    re.compile(spelled)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a",
        "(?i:a)",
        r"\bword",
        r"(a)\1",
        "(?<=a)b",
        "(?<!a)b",
        "a++",
        "(?>a)",
        r"\D",
        r"[^\w]",
        r"[\W_]",
        r"[\S\n]",
        r"^(?!a)",
        "(?=a)",
        r"(a)?(?(1)b)",
    ],
)
def test_pattern_without_one_meaning_is_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        portable_pattern(pattern)


_VALIDATORS = {
    pattern: jsonschema_rs.Draft202012Validator({"pattern": portable_pattern(pattern)})
    for pattern in _SPELLED
}


@given(st.text("ab-c.d12/:shtp\u0661é\n \ufeff\x1c\x85\u3000&~^]\\", max_size=8))
def test_schema_takes_no_text_that_python_does_not(text: str) -> None:
    for pattern, validator in _VALIDATORS.items():
        assert not validator.is_valid(text) or re.search(pattern, text), pattern
