"""Equal payloads are equal bytes, however they are spelled and however large they are."""

import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.canonical import canonical, canonical_steps, same_payload
from jobsvc.domain.payload import parse_payload
from jobsvc.event_loop.time_slice import at_once
from tests.support.payloads import OBJECTS, VALUES

_BIG = ["x", 1, 2.0, 1e300, True, None, {"b": -0.0, "a": []}, [[[7.5]]]]


@given(OBJECTS)
def test_equal_objects_are_equal_bytes(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert canonical(value) == canonical(turned)
    assert canonical(parse_payload(json.dumps(turned, indent=1))) == canonical(value)


@given(OBJECTS, OBJECTS)
def test_different_objects_are_different_bytes(one: dict[str, Any], other: dict[str, Any]) -> None:
    if canonical(one) == canonical(other):
        assert one == other


@pytest.mark.parametrize("spelling", ["1.0", "1e0", "10E-1", "1.00"])
def test_whole_number_is_the_same_in_every_spelling(spelling: str) -> None:
    assert canonical(parse_payload(f'{{"a": [{spelling}]}}')) == canonical({"a": [1]})


def test_true_is_not_one() -> None:
    assert canonical({"a": True}) != canonical({"a": 1})
    assert canonical({"a": "1.0"}) != canonical({"a": 1})


@given(OBJECTS, st.integers(1, 1500), VALUES)
def test_steps_spell_the_same_bytes(value: dict[str, Any], times: int, item: Any) -> None:
    value |= {"many": [*_BIG, item] * times, "keys": {f"k{n}": item for n in range(times)}}
    assert b"".join(canonical_steps(value)) == canonical(value)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [0] * 130_000},
        {"a": [[]] * 85_000},
        {"a": [{"a": [{"b": 1}]}] * 15_000},
        {f"{n:x}": {} for n in range(25_000)},
        {"a": {"b": {"c": [{"d": [0] * 50_000}, {"d": [0] * 50_000}]}}},
    ],
)
def test_no_step_is_large(value: dict[str, Any]) -> None:
    pieces = list(canonical_steps(value))
    assert max(map(len, pieces)) < 32_000
    assert b"".join(pieces) == canonical(value)


@pytest.mark.parametrize(
    ("text", "other", "same"),
    [
        (None, "{ }", True),
        ('{"a":1,"b":[2.0]}', '{"b": [2], "a": 1e0}', True),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":[0]}', '{"a":[false]}', False),
        ('{"a":1}', '{"a":1,"b":1}', False),
        ('{"a":"1"}', '{"a":1}', False),
    ],
)
def test_payloads_are_compared_as_objects(text: str | None, other: str, same: bool) -> None:
    assert at_once(same_payload(text, other)) is same


def test_large_payloads_are_compared_in_steps() -> None:
    text = '{"a":[' + ",".join(["1"] * 100_000) + "]}"

    def steps(comparing: Generator[None, None, bool]) -> int:
        return sum(1 for _ in comparing)

    assert steps(same_payload(text, json.dumps(json.loads(text)))) > 40
