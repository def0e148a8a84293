"""Schemas of queues."""

import json
import socket
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.errors import Violation
from jobsvc.domain.schema import Schema, SchemaInvalid

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
    assert PERSON.violations(payload, "input", size=100_000) == first
    assert len(PERSON.violations(payload, "input", size=100)) == 3


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


@pytest.mark.parametrize("definition", ['{"$ref": "#"}', '{"allOf": [{"$ref": "#"}]}'])
def test_schema_that_refers_to_itself_comes_to_an_end(definition: str) -> None:
    assert Schema(definition).violations({"a": {}}, "input") == []


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
