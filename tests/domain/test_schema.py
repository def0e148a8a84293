"""Schemas of queues."""

import json
import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.errors import Violation
from jobsvc.domain.portable_schema import portability_warnings
from jobsvc.domain.schema import RefusedSchema, Schema, SchemaInvalid, compile_recorded

PERSON = Schema(
    json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            },
            "$defs": {"tag": {"type": "string", "maxLength": 3}},
        }
    )
)


def test_of_a_large_payload_the_first_violation_is_told() -> None:
    payload = {"name": "x", "tags": [1, 2, 3]}
    first = [Violation("input.tags[0]", '1 is not of type "string"')]
    assert PERSON.violations(payload, "input", " " * 100_000) == first
    assert len(PERSON.violations(payload, "input", " " * 100)) == 3


def test_fitting_payload_has_no_violation() -> None:
    assert PERSON.violations({"name": "Ada", "tags": ["a", "b"]}, "input") == []


def test_violation_names_its_path() -> None:
    found = PERSON.violations({"name": 1, "tags": ["a", "long"]}, "spec.input")
    assert {v.field for v in found} == {"spec.input.name", "spec.input.tags[1]"}
    assert PERSON.violations({}, "input") == [
        Violation("input", '"name" is a required property'),
    ]


def test_each_unknown_key_is_told_by_its_path() -> None:
    closed = {"properties": {"words": {}}, "additionalProperties": False}
    schema = Schema(json.dumps({"properties": {"article": closed}}))
    found = schema.violations({"article": {"wrods": 1, "x": 2}}, "input")
    what = "is not a property of the schema"
    assert found == [Violation(f"input.article.{key}", what) for key in ("wrods", "x")]
    many = {str(n): n for n in range(15)}
    two = Schema(json.dumps({"properties": {"a": closed, "b": closed}}))
    assert len(two.violations({"a": many, "b": many}, "input")) == 20


def test_violations_are_bounded() -> None:
    found = PERSON.violations({"name": "x", "tags": ["long"] * 100}, "input")
    assert len(found) == 20
    (long,) = Schema('{"properties": {"a": {"maxLength": 1}}}').violations({"a": "x" * 9999}, "i")
    assert len(long.description) <= 500


@pytest.mark.parametrize(
    "definition",
    [
        "nonsense",
        "",
        "[]",
        "17",
        '{"type": "nothing"}',
        '{"pattern": "("}',
        '{"$ref": "#/$defs/missing"}',
        '{"$ref": "https://elsewhere.example/schema"}',
        '{"$schema": "https://elsewhere.example/dialect"}',
        '{"$schema": "http://json-schema.org/draft-07/schema#"}',
        '{"$schema": 7}',
    ],
)
def test_what_is_no_schema_is_a_defect(definition: str) -> None:
    with pytest.raises(SchemaInvalid):
        Schema(definition)


@pytest.mark.parametrize("keyword", ["$schema", "$ref", "$dynamicRef"])
@pytest.mark.parametrize("place", ["{%s}", '{"$id": "urn:x", "properties": {"a": {%s}}}'])
def test_no_schema_is_fetched(keyword: str, place: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema"
        with suppress(SchemaInvalid):
            Schema(place % f'"$id": "{url}/own", "{keyword}": "{url}"')
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "definition",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}},
    ],
)
def test_schema_that_refers_to_itself_at_one_value_is_refused(definition: dict[str, Any]) -> None:
    with pytest.raises(SchemaInvalid, match="comes back to itself"):
        Schema(json.dumps(definition))


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        ({"properties": {"a": {"pattern": "(?=b)"}}}, ".properties.a.pattern"),
        ({"items": {"patternProperties": {"(a)\\1": {}}}}, ".items.patternProperties.(a)\\1"),
        ({"$defs": {"a": {"pattern": "("}}, "$ref": "#/$defs/a"}, ".$defs.a.pattern"),
        ({"properties": {"a": {"pattern": "a" * 1001}}}, ".properties.a.pattern"),
        ({"properties": {"a": {"pattern": "[ab]{9999}"}}}, ".properties.a.pattern"),
        ({"properties": {"a": {"minLength": -1}}}, ".properties.a.minLength"),
    ],
)
def test_defect_of_a_schema_is_told_by_its_place(definition: dict[str, Any], place: str) -> None:
    with pytest.raises(SchemaInvalid) as defect:
        Schema(json.dumps(definition))
    assert defect.value.place == place


def test_payload_larger_than_a_schema_can_take_is_refused_unseen() -> None:
    definition = json.dumps({"additionalProperties": {"pattern": "x[ab]{60}"}})
    schema = Schema(definition, max_steps=2_000_000)
    assert 16_384 < schema.max_bytes < 40_000
    fits = {"a": "ä" * (schema.max_bytes // 2 - 20)}
    assert schema.violations(fits, "input", json.dumps(fits, ensure_ascii=False)) != []
    large = {"a": "ä" * schema.max_bytes}
    (only,) = schema.violations(large, "input", json.dumps(large, ensure_ascii=False))
    assert only.description.startswith(f"must have at most {schema.max_bytes} bytes")
    # A byte has 200 when it is written out.
    exponents = '{"a": [' + ",".join(["1e200"] * (schema.max_bytes // 200)) + "]}"
    assert len(exponents) < schema.max_bytes / 30
    (only,) = schema.violations(json.loads(exponents), "input", exponents)
    assert only.description.endswith("numbers written out without exponents")
    with pytest.raises(SchemaInvalid, match="steps for each byte"):
        Schema(definition, max_steps=1_000_000)


def test_nothing_fits_a_recorded_schema_that_is_refused() -> None:
    schema = compile_recorded('{"properties": {"a": {"pattern": "(?=b)"}}}')
    assert isinstance(schema, RefusedSchema)
    (violation,) = schema.violations({}, "input")
    assert violation.field == "input"
    assert "properties.a.pattern" in violation.description


_SHAPE = {
    "oneOf": [{"$ref": "#/$defs/disc"}, {"$ref": "#/$defs/box"}, {"$ref": "#/$defs/many"}],
    "$defs": {
        "disc": {
            "type": "object",
            "required": ["kind", "r"],
            "properties": {"kind": {"const": "disc"}, "r": {"type": "number"}},
        },
        "box": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"enum": ["box", "cube"]}, "w": {"type": "number"}},
        },
        "many": {
            "type": "object",
            "required": ["kind"],
            "properties": {
                "kind": {"const": "many"},
                "of": {"type": "array", "items": {"$ref": "#"}},
            },
        },
    },
}


@pytest.mark.parametrize(
    ("payload", "violation"),
    [
        ({"kind": "disc"}, Violation("i", '"r" is a required property')),
        ({"kind": "cube", "w": "x"}, Violation("i.w", '"x" is not of type "number"')),
        (
            {"kind": "many", "of": [{"kind": "disc", "r": 1}, {"kind": "disc", "r": None}]},
            Violation("i.of[1].r", 'null is not of type "number"'),
        ),
        ({"kind": "line"}, Violation("i.kind", '"line" is not one of "disc", "box" or 2 other')),
        ({"kind": "many", "of": [7]}, Violation("i.of[0]", '7 is not of type "object"')),
        ({}, Violation("i", '"kind" is a required property')),
    ],
)
def test_violation_in_a_tagged_union_is_that_of_the_variant_meant(
    payload: dict[str, Any], violation: Violation
) -> None:
    (found,) = Schema(json.dumps(_SHAPE)).violations(payload, "i")
    assert found.field == violation.field
    assert found.description.startswith(violation.description)


def test_violation_is_told_without_its_place_if_references_lead_into_alternatives() -> None:
    definition = {
        "properties": {
            "a": {"anyOf": [{"type": "string"}]},
            "b": {"$ref": "#/properties/a/anyOf/0"},
        }
    }
    (violation,) = Schema(json.dumps(definition)).violations({"b": 1}, "i")
    assert violation == Violation("i", "does not fit the schema; the place cannot be told")


def test_alternatives_that_do_not_fit_are_one_violation() -> None:
    schema = Schema(
        json.dumps(
            {
                "properties": {
                    "a": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "b": {"oneOf": [{"minimum": 1}, {"maximum": 5}]},
                }
            }
        )
    )
    assert [v.field for v in schema.violations({"a": 1, "b": 3}, "i")] == ["i.a", "i.b"]
    assert schema.violations({"a": None, "b": 7}, "i") == []
    (only,) = schema.violations({"a": [1] * 1000}, "i")
    assert only.description.endswith(
        "not valid under any of the schemas listed in the 'anyOf' keyword"
    )


APPLIED = ("$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "if", "then", "properties", "items")
OTHERS = ("$id", "$anchor", "$dynamicRef", "required", "patternProperties", "dependencies", "type")
VALUES = ("pattern", "enum", "const", "multipleOf", "minimum", "uniqueItems", "x")
KEYWORDS = st.sampled_from((*APPLIED, *OTHERS, *VALUES))
PARTS = st.recursive(
    st.sampled_from(
        ["#", "#/$defs/x", "#/x", "#/x/enum", "other", "x", "object", "(", 1, 0.5, True]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(KEYWORDS, PARTS, max_size=4))
def test_any_document_is_a_schema_or_a_defect(document: dict[str, Any]) -> None:
    with suppress(SchemaInvalid):
        schema = Schema(json.dumps(document))
        assert portability_warnings(document) is not None
        assert schema.violations({"x": [1]}, "input") is not None


@pytest.mark.parametrize(
    "part",
    [{"pattern": 5}, {"multipleOf": "x"}, {"properties": 5}, {"enum": 5}, {"$ref": 5}, [], 5],
)
def test_what_is_no_schema_does_no_harm_until_a_reference_leads_there(part: Any) -> None:
    assert Schema(json.dumps({"x-meta": part})).violations({}, "input") == []
    with pytest.raises(SchemaInvalid):
        Schema(json.dumps({"$ref": "#/x-meta", "x-meta": part}))
    union = {"anyOf": [{"$ref": "#/x-meta"}, {"$ref": "#/x-odd"}]}
    odd = {"type": "object", "required": 5, "properties": part}
    with pytest.raises(SchemaInvalid):
        Schema(json.dumps(union | {"x-meta": odd, "x-odd": odd}))


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.integers() | st.floats() | st.just(10**4000) | st.text(max_size=5),
        max_size=4,
    )
)
def test_no_payload_breaks_the_check(payload: dict[str, object]) -> None:
    schema = Schema('{"additionalProperties": {"type": "number", "maximum": 5}}')
    assert all(v.field.startswith("input") for v in schema.violations(payload, "input"))
