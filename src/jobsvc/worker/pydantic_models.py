"""Pydantic models as inputs and outputs. Imported only where a processor has one. Pure."""

from collections.abc import Callable
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from jobsvc.worker.pattern import PatternInvalid, portable_pattern
from jobsvc.worker.schema_writer import (
    INTEGER_KEYS,
    KEYS_REFUSED,
    MAX_EXACT,
    Schema,
    SchemaInvalid,
    fraction_refusal,
)
from jobsvc.worker.text_schema import zoned_text
from jobsvc.worker.unknown_keys import allows_unknown_keys


def model_decoder(annotation: Any) -> Callable[[str], Any]:
    """Returns a function that turns JSON text into an instance of a model, or a union of some."""
    return TypeAdapter(annotation).validate_json


def model_schema(annotation: Any, closed: bool) -> Schema:
    """Returns the JSON Schema of a model, or a union of some; `$ref`s stay within it.

    `closed` makes the schema of an input, which takes no key that a model does not
    name unless its config sets `extra`. Otherwise it is the schema of an output.

    Raises:
        SchemaInvalid: a part of the model has no schema, or one that takes too much.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        if not closed:
            return adapter.json_schema(mode="serialization", schema_generator=_OutputSchema)
        schema = adapter.json_schema(mode="validation", schema_generator=_InputSchema)
    except PydanticUserError as error:
        raise SchemaInvalid(f"{error}".splitlines()[0]) from None
    _assert_base64(schema)
    return schema


class _OutputSchema(GenerateJsonSchema):
    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        return _zoned(super().datetime_schema(schema), schema.get("tz_constraint"))

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        return _zoned(super().time_schema(schema), schema.get("tz_constraint"))

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        # Pydantic writes years, which are no format of ours.
        return {**super().timedelta_schema(schema), "format": "pydantic-duration"}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        if (refusal := fraction_refusal(schema.get("multiple_of"))) is not None:
            raise SchemaInvalid(refusal)
        return super().float_schema(schema)


class _InputSchema(_OutputSchema):
    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {"type": "string", "format": "duration"}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return _exact(super().int_schema(schema))

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return _exact(super().float_schema(schema))

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        number = super().decimal_schema(schema)["anyOf"][0]
        number.pop("multipleOf", None)  # Few validators count in decimals.
        return {"anyOf": [number, {"type": "string", "format": "decimal"}]}

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        found = super().str_schema(schema)
        if "pattern" in found:
            try:
                found["pattern"] = portable_pattern(found["pattern"])
            except PatternInvalid as error:
                raise SchemaInvalid(f"pattern {found['pattern']!r} {error}") from None
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        keys = self.generate_inner(schema["keys_schema"]) if "keys_schema" in schema else {}
        if keys.get("type") == "integer" and len(keys) == 1:
            found["propertyNames"] = INTEGER_KEYS
        elif keys.get("type") in ("integer", "number", "boolean"):
            raise SchemaInvalid(KEYS_REFUSED)
        # Where keys have a pattern, pydantic's schema takes others as well.
        return _closed(found) if "patternProperties" in found else found

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        return found if _says_otherwise(schema["cls"]) else _closed(found)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        found = super().dataclass_schema(schema)
        return found if allows_unknown_keys(schema["cls"]) else _closed(found)

    def typed_dict_schema(self, schema: core_schema.TypedDictSchema) -> JsonSchemaValue:
        found = super().typed_dict_schema(schema)
        return found if allows_unknown_keys(schema.get("cls")) else _closed(found)


def _zoned(found: JsonSchemaValue, zone: object) -> JsonSchemaValue:
    if found.get("type") != "string":
        return found
    return zoned_text(found["format"], None if zone is None else zone != "naive")


def _exact(found: JsonSchemaValue) -> JsonSchemaValue:
    if "multipleOf" in found:
        found.setdefault("minimum", -MAX_EXACT)
        found.setdefault("maximum", MAX_EXACT)
    return found


def _closed(found: JsonSchemaValue) -> JsonSchemaValue:
    if found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def _says_otherwise(model: Any) -> bool:
    # A key by which a field can be named, too, is not in the schema.
    names = (field.validation_alias for field in model.model_fields.values())
    config = model.model_config
    return (
        "extra" in config
        or allows_unknown_keys(model)
        or bool(config.get("populate_by_name") or config.get("validate_by_name"))
        or not all(name is None or isinstance(name, str) for name in names)
    )


def _assert_base64(node: Any) -> None:
    # Any: a walk through a JSON document. Pydantic says base64 where the registry says byte.
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _assert_base64(child)
    if isinstance(node, dict) and node.get("type") == "string" and node.get("format") == "base64":
        node["format"] = "byte"
