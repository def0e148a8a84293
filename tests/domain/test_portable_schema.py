"""Which parts of a schema validators of other languages refuse, or read in another way.

The patterns were compiled by all four (docs/schemas.md).
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.portable_schema import portability_warnings

PORTABLE = [
    "",
    "^[a-z]+$",
    r"^\d{4}-\d{2}$",
    r"^[\w.-]+@[^@\s]{1,1000}$",
    r"^(?:a|b)*?(c)$",
    r"\bword\B",
    r"^\x41\.\/\t$",
    r"^[\-\]\\a&&b~~]$",
    "^é+$",
    "^.$",
    "a{2,}",
]
NOT_PORTABLE = [
    r"^\p{L}$",
    r"^\u0041$",
    r"^\u{41}$",
    r"^\cA$",
    r"^\-$",
    r"^\@$",
    r"^\Aa\z",
    r"^(?<n>a)$",
    r"^(?P<n>a)$",
    r"^(?i)a$",
    r"^a++$",
    r"^a}$",
    r"^a]$",
    r"^[]a]$",
    r"^[[:alpha:]]$",
    r"^a{2}{3}$",
    r"^a{1001}$",
    r"(?x) a",
    r"^\U00000041$",
]


@pytest.mark.parametrize("pattern", PORTABLE)
def test_pattern_that_all_compile_has_no_warning(pattern: str) -> None:
    assert portability_warnings({"pattern": pattern, "patternProperties": {pattern: {}}}) == []


@pytest.mark.parametrize("pattern", NOT_PORTABLE)
def test_pattern_that_one_refuses_has_a_warning_at_its_place(pattern: str) -> None:
    found = portability_warnings(
        {"items": {"pattern": pattern, "patternProperties": {pattern: {}}}}
    )
    assert [place for place, _ in found] == [
        ".items.pattern",
        f".items.patternProperties.{pattern}",
    ]


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ({"properties": {"a": {"maxLenght": 1}}}, ".properties.a.maxLenght"),
        ({"$defs": {"a": {"nullable": True}}}, ".$defs.a.nullable"),
        ({"allOf": [{"multipleOf": 0.01}]}, ".allOf[0].multipleOf"),
        ({"maximum": 2**53}, ".maximum"),
        ({"enum": [1, -(2**60)]}, ".enum"),
        ({"not": {"const": 2**53}}, ".not.const"),
        ({"enum": []}, ".enum"),
        ({"dependencies": {"a": ["b"]}}, ".dependencies"),
        ({"contains": {}, "unevaluatedItems": False}, ".unevaluatedItems"),
        ({"items": {"then": {}}}, ".items"),
    ],
)
def test_keyword_that_one_reads_otherwise_has_a_warning(
    definition: dict[str, Any], place: str
) -> None:
    ((found, why),) = portability_warnings(definition)
    assert found == place
    assert why


def test_names_and_values_are_no_keywords() -> None:
    definition = {
        "properties": {"maxLenght": {"default": {"nullable": 1}}, "enum": {"const": {"then": 1}}},
        "x-order": 1,
        "maximum": 2**53 - 1,
        "multipleOf": 3,
        "examples": [{"dependencies": 1}],
    }
    assert portability_warnings(definition) == []


def test_warnings_are_bounded() -> None:
    definition = {"properties": {f"p{n}": {"nullable": True} for n in range(100)}}
    assert len(portability_warnings(definition)) == 20


@given(st.text(max_size=50) | st.text(st.sampled_from("ab^$()[]{}?*+|\\.,19pPux:<>-")))
def test_any_pattern_is_looked_at(pattern: str) -> None:
    assert len(portability_warnings({"pattern": pattern})) <= 1
