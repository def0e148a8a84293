"""The bound of the work of one check: it holds, and ordinary schemas stay far below the limit."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given

from jobsvc.domain.payload import parse_payload, written_out_bytes
from jobsvc.domain.schema import Schema
from jobsvc.domain.schema_cost import MAX_STEPS, schema_cost
from jobsvc.domain.schema_graph import TooCostly
from tests.domain.support.schemas import UNION, a_union, an_object, payloads, schemas

MIB = 1024 * 1024


NODE = {"$ref": "#/$defs/node"}
ORDINARY: dict[str, dict[str, Any]] = {
    "a hundred properties": an_object(
        {f"p{n}": {"type": ["string", "integer", "boolean"][n % 3]} for n in range(100)},
        *(f"p{n}" for n in range(50)),
    )
    | {"additionalProperties": False},
    "an array of objects": an_object(
        {
            "rows": {
                "type": "array",
                "items": an_object(
                    {
                        "id": {"type": "integer", "minimum": 1},
                        "name": {"type": "string", "maxLength": 100},
                        "state": {"enum": [f"state{n}" for n in range(300)]},
                        "tags": {"type": "array", "items": {"type": "string"}},
                    },
                    "id",
                ),
            }
        }
    ),
    "a matrix": an_object({"m": {"items": {"type": "array", "items": {"type": "number"}}}}),
    "a tree": NODE
    | {
        "$defs": {
            "node": an_object({"value": {}, "children": {"type": "array", "items": NODE}}, "value")
        }
    },
    "a binary tree": NODE
    | {
        "$defs": {
            "node": an_object({side: {"anyOf": [NODE, {"type": "null"}]} for side in ("l", "r")})
        }
    },
    "any JSON": an_object({"v": NODE})
    | {
        "$defs": {
            "node": {
                "anyOf": [
                    {"type": ["null", "boolean", "number", "string"]},
                    {"type": "array", "items": NODE},
                    {"type": "object", "additionalProperties": NODE},
                ]
            }
        }
    },
    "a tagged union": an_object({"events": {"type": "array", "items": UNION}}) | a_union(50),
    "a tagged union that recurs": UNION | a_union(20, left=UNION, right=UNION),
    "parts that add up": {
        "allOf": [an_object({"a": {"type": "string"}}), an_object({"b": {"type": "string"}})],
        "unevaluatedProperties": False,
    },
    "a condition": {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}},
    "patterns": an_object(
        {
            "day": {"pattern": r"^\d{4}-\d{2}-\d{2}$"},
            "uuid": {"pattern": "^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"},
            "mail": {"pattern": r"^[^@\s]+@[^@\s]+\.[^@\s]+$"},
            "name": {"pattern": "^.{1,200}$"},
        }
    ),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_schema_takes_payloads_of_a_mebibyte(name: str) -> None:
    assert Schema(json.dumps(ORDINARY[name])).max_bytes > MIB


def test_texts_with_formats_take_payloads_of_half_a_mebibyte() -> None:
    times = {"type": "array", "items": {"format": "date-time"}}
    definition = an_object({"at": times, "id": {"format": "uuid"}, "price": {"format": "decimal"}})
    assert Schema(json.dumps(definition)).max_bytes > MIB / 2


def doubling(levels: int, last: dict[str, Any]) -> dict[str, Any]:
    """A schema that applies the last of its definitions 2 ** levels times to one value."""
    both = lambda n: [{"$ref": f"#/$defs/d{n + 1}"}] * 2  # noqa: E731
    definitions = {f"d{n}": {"allOf": both(n)} for n in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": definitions | {f"d{levels}": last}}


def test_references_that_multiply_are_counted_and_refused() -> None:
    small, large = (schema_cost(doubling(levels, {})).fixed for levels in (4, 8))
    assert large > 15 * small
    with pytest.raises(TooCostly, match="steps at one value"):
        schema_cost(doubling(14, {}))


def test_recursion_that_multiplies_is_counted() -> None:
    """Nothing is remembered of a union that is tried before its tag is looked at."""
    loops = [an_object({"a": NODE, "b": {"const": n}}) for n in range(4)]
    one, four = (
        schema_cost(NODE | {"$defs": {"node": {"anyOf": loops[:n]}}}).per_byte for n in (1, 4)
    )
    assert four > 15 * one


@pytest.mark.parametrize(
    ("costly", "cheap"),
    [
        ({"uniqueItems": True}, {}),
        ({"items": {"multipleOf": 0.01}}, {"items": {"multipleOf": 2}}),
        ({"items": {"multipleOf": 1e-300}}, {"items": {"multipleOf": 0.01}}),
        ({"items": {"format": "duration"}}, {"items": {"format": "uuid"}}),
        ({"items": {"format": "regex"}}, {"items": {"format": "uuid"}}),
        ({"items": {"format": "uuid"}}, {"items": {"type": "string"}}),
        ({"items": {"minimum": 0.5}}, {"items": {"minimum": 0}}),
        ({"items": {"minimum": 0}}, {"items": {"type": "number"}}),
        ({"items": {"enum": [0.5, 1.5]}}, {"items": {"enum": ["a", "b"]}}),
        ({"items": {"enum": [[n] for n in range(50)]}}, {"items": {"enum": ["a"] * 50}}),
        ({"items": {"const": {"a": [1] * 50}}}, {"items": {"const": 1}}),
        ({"items": {"pattern": "x[ab]{40}"}}, {"items": {"pattern": "^[ab]{40}$"}}),
        ({"propertyNames": {"pattern": "x[ab]{40}"}}, {"propertyNames": {"maxLength": 40}}),
        ({"patternProperties": {f"{n}[ab]*": {} for n in range(50)}}, {}),
        ({"items": {"dependentRequired": {f"k{n}": [] for n in range(50)}}}, {}),
        ({"items": {"contains": {"anyOf": [{"minimum": n} for n in range(50)]}}}, {}),
        ({"items": {"if": {"anyOf": [{"minimum": n} for n in range(50)]}}}, {}),
        (
            {"allOf": [{"properties": {"a": {"items": {}}}}] * 9, "unevaluatedProperties": False},
            {"allOf": [{"properties": {"a": {"items": {}}}}] * 9},
        ),
    ],
)
def test_costly_keyword_is_counted(costly: dict[str, Any], cheap: dict[str, Any]) -> None:
    assert schema_cost(costly).per_byte > 1.5 * schema_cost(cheap).per_byte


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ({"properties": {f"p{n}": {} for n in range(2001)}}, "more than 2000 sub-schemas"),
        ({"$ref": "#/$defs/a/b", "$defs": {"a": {}}}, "leads to nothing"),
        ({"$ref": "other"}, "leads to nothing"),
        ({"pattern": r"\d" * 400}, "too large a regular expression"),
        ({"properties": {"a": {"pattern": "[a-z]{5001}"}}}, "too large a regular expression"),
    ],
)
def test_schema_beyond_a_bound_is_refused(definition: dict[str, Any], why: str) -> None:
    with pytest.raises(TooCostly, match=why):
        schema_cost(definition)


def test_levels_of_a_schema_are_bounded() -> None:
    definition: dict[str, Any] = {}
    for _ in range(101):
        definition = {"not": definition}
    with pytest.raises(TooCostly, match="nests deeper"):
        schema_cost(definition)


@pytest.mark.parametrize(
    "definition",
    [
        {"$id": "https://a.example/s", "$ref": "https://a.example/s#/$defs/a", "$defs": {"a": {}}},
        {"$id": "urn:s", "$ref": "#x", "$defs": {"a": {"$anchor": "x"}}},
        {"$dynamicRef": "#x", "$defs": {"a": {"$dynamicAnchor": "x"}}},
        {"$ref": "/t", "$defs": {"a": {"$id": "/t", "$ref": "#/$defs/b", "$defs": {"b": {}}}}},
        {"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {}}},
    ],
)
def test_every_reference_within_a_schema_is_followed(definition: dict[str, Any]) -> None:
    assert Schema(json.dumps(definition)).max_bytes > MIB


FAILS = {"x-fails": True}


@contextmanager
def counting(definition: dict[str, Any]) -> Iterator[tuple[Any, list[int]]]:
    """A validator, and how often it has applied a sub-schema to a value."""
    count = [0]

    class Counter:
        def __init__(self, parent: dict[str, Any], value: Any, path: list[str | int]) -> None:
            pass

        def validate(self, instance: Any) -> None:
            count[0] += 1

    class Failure(Counter):
        def validate(self, instance: Any) -> None:
            raise ValueError

    def counted(schema: Any) -> Any:
        if isinstance(schema, list):
            return [counted(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        named = {"properties", "patternProperties", "dependentSchemas", "$defs"}
        new = {
            k: {n: counted(s) for n, s in v.items()} if k in named else counted(v)
            for k, v in schema.items()
        }
        return {"x-count": True} | new

    keywords = {"x-count": Counter, "x-fails": Failure}
    yield jsonschema_rs.Draft202012Validator(counted(definition), keywords=keywords), count


@given(schemas(), payloads())
def test_no_check_takes_more_than_its_bound(
    definition: dict[str, Any], payload: dict[str, Any]
) -> None:
    try:
        cost = schema_cost(definition)
    except TooCostly:
        return
    with counting(definition) as (validator, count):
        validator.is_valid(payload)
    size = len(json.dumps(payload, separators=(",", ":")))
    assert count[0] <= cost.fixed + size * cost.per_byte


_NUMBERS = (
    "1",
    "1.5",
    "9e9",
    "1e-9",
    "1e22",
    "1e308",
    "1.7976931348623157e308",
    "5e-324",
    "9" * 300,
)
_COMPARED = (
    *({"multipleOf": multiple} for multiple in (3, 1e22, 0.01, 1e-15)),
    *({"minimum": bound} for bound in (1, 0.5, 5e-324, 1e308)),
    *({"const": value} for value in (1, 1.5, 1e-5, 1e308)),
    {"enum": list(range(0, 600, 2))},
    {"enum": [1.5, 2.5]},
    {"enum": [[1], {"a": 1}]},
)


@pytest.mark.parametrize("keyword", _COMPARED, ids=lambda keyword: str(keyword)[:30])
def test_numbers_of_any_size_are_checked_within_the_time_of_the_bound(
    keyword: dict[str, Any],
) -> None:
    """Harmless: the payloads have a hundredth of what the bound allows."""
    items = {"anyOf": [keyword, {"type": "number"}]}
    schema = Schema(json.dumps({"properties": {"a": {"items": items}}}))
    for number in _NUMBERS:
        count = max(1, schema.max_bytes // 100 // written_out_bytes(f"[{number},1]"))
        text = '{"a": [' + ",".join([number] * count) + "]}"
        payload = parse_payload(text)
        began = time.thread_time()
        assert schema.violations(payload, "input", text) == []
        took = time.thread_time() - began
        share = written_out_bytes(text) / schema.max_bytes
        assert took < 0.001 + 5 * share * MAX_STEPS * 1e-8, number


def test_bound_holds_where_recursion_multiplies() -> None:
    """Harmless: the steps would be 3 ** 12 without the results that the checker keeps."""
    loop = an_object({"a": NODE})
    definition = NODE | {"$defs": {"node": {"anyOf": [loop | FAILS, loop | FAILS, loop]}}}
    payload: dict[str, Any] = {}
    for _ in range(12):
        payload = {"a": payload}
    cost = schema_cost(definition)
    with counting(definition) as (validator, count):
        assert validator.is_valid(payload)
    assert 3 * 12 < count[0] <= cost.fixed + len(json.dumps(payload)) * cost.per_byte < MAX_STEPS
