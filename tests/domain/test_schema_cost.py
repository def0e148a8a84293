"""The bound of the work of one check: it holds, and ordinary schemas stay far below the limit."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.pattern_cost import pattern_cost
from jobsvc.domain.schema import Schema
from jobsvc.domain.schema_cost import MAX_STEPS, schema_cost
from jobsvc.domain.schema_graph import TooCostly
from jobsvc.domain.schema_rewrite import briefly, by_tag

MIB = 1024 * 1024


def an_object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def a_union(variants: int, **more: Any) -> dict[str, Any]:
    """A tagged union, and its definitions."""
    names = [f"v{n}" for n in range(variants)]
    return {
        "$defs": {
            "union": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]},
            **{
                n: an_object({"type": {"enum": [n]}, "id": {"type": "string"}} | more, "type")
                for n in names
            },
        }
    }


UNION = {"$ref": "#/$defs/union"}
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
        ({"items": {"enum": [0.5, 1.5]}}, {"items": {"enum": [0, 1]}}),
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


@pytest.mark.parametrize(
    ("pattern", "positions", "single_path"),
    [
        ("^abc$", 3, True),
        ("abc", 3, False),
        ("^[a-z]{1,20}$", 20, True),
        ("^[a-z]{1,20}x", 21, False),
        ("^([ab]{2}-){3}c?$", 10, True),
        ("^([ab]+-){3}$", 6, False),
        ("^(a|bc)$", 3, False),
        (r"^\p{Greek}\u{1F600}\x41\.$", 4, True),
        (r"^[\]a]{3}[^]b]$", 4, True),
        ("^(?:ab)*$", 2, False),
        ("^(?<n>ab){2}$", 4, True),
        ("((a{99}){99}){99}", 99**3, False),
    ],
)
def test_positions_of_a_pattern(pattern: str, positions: int, single_path: bool) -> None:
    cost = pattern_cost(pattern)
    assert (cost.positions, cost.single_path) == (positions, single_path)


@given(st.text(st.sampled_from("ab^$()[]{}?*+|\\.,19pPux:<>"), max_size=30))
def test_any_text_has_a_bound_as_a_pattern(text: str) -> None:
    assert pattern_cost(text).steps_per_byte >= 1


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    """Schemas that fit nearly everything, so that nearly nothing ends a check early."""
    reference = st.sampled_from([{"$ref": f"#/$defs/{name}"} for name in "abc"])
    leaf = st.sampled_from(
        [{}, {"minimum": 0}, {"type": ["object", "array", "integer"]}, {"not": False}]
    )

    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        some = st.lists(inner, min_size=1, max_size=3)
        named = st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3)
        return st.one_of(
            some.map(lambda s: {"allOf": s}),
            some.map(lambda s: {"anyOf": [{"type": "string"}, *s]}),
            some.map(lambda s: {"oneOf": [{"type": "null"}, *s]}),
            inner.map(lambda s: {"not": {"not": s}}),
            inner.map(lambda s: {"items": s}),
            some.map(lambda s: {"prefixItems": s, "items": s[0]}),
            inner.map(lambda s: {"contains": s, "minContains": 0}),
            named.map(lambda s: {"properties": s}),
            named.map(lambda s: {"properties": s, "unevaluatedProperties": {"minimum": 0}}),
            inner.map(lambda s: {"additionalProperties": s}),
            inner.map(lambda s: {"patternProperties": {"x|y": s}}),
            st.tuples(inner, inner).map(lambda s: {"if": s[0], "then": s[1], "else": s[1]}),
            named.map(lambda s: {"dependentSchemas": s}),
        )

    any_schema = st.recursive(leaf | reference, around, max_leaves=6)
    definitions = st.fixed_dictionaries(dict.fromkeys("abc", any_schema))
    return st.tuples(any_schema, definitions).map(lambda s: {"allOf": [s[0]], "$defs": s[1]})


#: Fits nothing, which turns out after everything else has been looked at.
FAILS = {"x-fails": True}


def payloads() -> st.SearchStrategy[dict[str, Any]]:
    values = st.recursive(
        st.integers(0, 9),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
        ),
        max_leaves=12,
    )
    return st.dictionaries(st.sampled_from("xyz"), values, max_size=3)


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


@given(schemas(), payloads())
def test_rewritten_schema_fits_the_same_payloads(
    definition: dict[str, Any], payload: dict[str, Any]
) -> None:
    fits = jsonschema_rs.Draft202012Validator(definition).is_valid(payload)
    for equal in (by_tag(definition), briefly(definition), briefly(by_tag(definition))):
        assert jsonschema_rs.Draft202012Validator(equal).is_valid(payload) is fits


TAGS = st.sampled_from(["v0", "v1", "v2", "w", 7])


@given(
    st.sampled_from([{}, {"unevaluatedProperties": False}, {"$id": "https://a.example/s"}]),
    st.sampled_from(["anyOf", "oneOf"]),
    st.recursive(
        st.fixed_dictionaries(
            {}, optional={"type": TAGS, "id": st.sampled_from(["x", 7]), "more": st.just(1)}
        ),
        lambda inner: st.fixed_dictionaries(
            {"type": TAGS}, optional={"left": inner, "right": inner}
        ),
    )
    | st.just([]),
)
def test_tagged_union_fits_the_same_payloads(
    beside: dict[str, Any], keyword: str, payload: Any
) -> None:
    definition = UNION | a_union(3, left=UNION, right=UNION) | beside
    definition["$defs"]["union"] = {keyword: definition["$defs"]["union"]["anyOf"]}
    rewritten = by_tag(definition)
    assert rewritten != definition
    fits = jsonschema_rs.Draft202012Validator(definition).is_valid(payload)
    assert jsonschema_rs.Draft202012Validator(rewritten).is_valid(payload) is fits


def test_union_whose_variants_are_referred_to_by_their_place_is_left_as_it_is() -> None:
    definition = UNION | a_union(3)
    for reference in ("#/$defs/union/anyOf/0", "#/properties/a/oneOf/1/items"):
        document = definition | {"properties": {"a": {"$ref": reference}}}
        assert by_tag(document) == document
    document = definition | {"properties": {"a": {"$id": "inner"}}}
    assert by_tag(document) == document
