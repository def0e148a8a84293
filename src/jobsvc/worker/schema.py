"""Converts a Python type to the JSON Schema that a queue declares. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from jobsvc.worker.payload import whole_numbers
from jobsvc.worker.schema_writer import Schema, SchemaInvalid, SchemaWriter
from jobsvc.worker.type_facts import is_model

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def object_schema(annotation: Any, closed: bool = True) -> Schema:
    """Returns the JSON Schema (draft 2020-12) of a class, dict or pydantic model.

    The schema is one self-contained document whose root is an object; every `$ref`
    stays within it. What it takes, `decoder` decodes. Where `closed`, it takes no
    key that a class does not name, unless the class says otherwise
    (`allow_unknown_keys`). `annotation` is any type annotation, hence Any.

    Raises:
        SchemaInvalid: the type is not written as a JSON object, or a part of it
            has no such schema.
    """
    if is_model(annotation):
        return _schema_of_model(annotation, closed)
    try:
        known = inspect.type_info(annotation)
    except (TypeError, RuntimeError) as error:
        raise SchemaInvalid(f"{_name(annotation)}: {str(error).splitlines()[0]}") from None
    if not _is_object(known):
        raise SchemaInvalid(
            f"{_name(annotation)} is not written as a JSON object;"
            " use a dataclass, msgspec.Struct, TypedDict, dict or pydantic model"
        )
    writer = SchemaWriter(closed)
    schema = writer.write(known)
    definitions = writer.definitions
    root = schema.pop("$ref", None)
    if root is not None:
        name = root.rpartition("/")[2]
        schema = definitions[name] | schema
        if not _refers_to(root, list(definitions.values())):
            del definitions[name]
    document: Schema = {"$schema": DIALECT, "type": "object", **schema}
    if definitions:
        document["$defs"] = definitions
    return document


def decoder(annotation: Any) -> Callable[[str], Any]:
    """Returns a function that decodes the JSON text of a type that has a schema."""
    if not is_model(annotation):
        return whole_numbers(msgspec.json.Decoder(annotation).decode)
    from jobsvc.worker.pydantic_models import model_decoder

    return whole_numbers(model_decoder(annotation))


def _schema_of_model(annotation: Any, closed: bool) -> Schema:
    # The package of the models is there, and the worker needs it for nothing else.
    from jobsvc.worker.pydantic_models import model_schema

    try:
        schema = model_schema(annotation, closed)
    except SchemaInvalid as error:
        raise SchemaInvalid(f"{_name(annotation)}: {error}") from None
    roots: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or [schema]
    for root in roots:
        name = root.get("$ref", "").rpartition("/")[2]
        if (schema["$defs"][name] if name else root).get("type") != "object":
            raise SchemaInvalid(f"{_name(annotation)} is not written as a JSON object")
    return {"$schema": DIALECT, "type": "object", **schema}


def _is_object(known: inspect.Type) -> bool:
    if isinstance(known, inspect.UnionType):
        return all(_is_object(member) for member in known.types)
    if isinstance(known, inspect.Metadata):
        return _is_object(known.type)
    if isinstance(known, inspect.StructType):
        return not known.array_like
    return isinstance(known, inspect.DataclassType | inspect.TypedDictType | inspect.DictType)


def _refers_to(reference: str, node: Any) -> bool:
    # Any: a walk through a JSON document.
    if isinstance(node, dict):
        return node.get("$ref") == reference or any(
            _refers_to(reference, child) for child in node.values()
        )
    return isinstance(node, list) and any(_refers_to(reference, child) for child in node)


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
