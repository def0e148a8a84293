"""Structs from JSON text and to it, in short steps: a large one takes a tenth of a second, which
would block the loop for too long."""

import json
import math
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import msgspec
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from jobsvc.domain.payload import PayloadInvalid

T = TypeVar("T")
#: Yields between two steps.
Steps = Generator[None, None, T]

#: Values that are converted in one step.
_STEP_VALUES = 256
#: From here on whole numbers are written with an exponent, as JavaScript does.
_MAX_DIGITS = 1e21

HINT = "the caller's library has dropped what it did not know; json_text is the safe spelling"

_quoted: Callable[[str], str] = json.encoder.encode_basestring


def struct_text(message: Struct) -> Steps[str]:
    """Returns a Struct as JSON text; whole numbers become integers.

    Raises:
        PayloadInvalid: the Struct holds NaN, Infinity, or a Value without a kind.
    """
    parts: list[str] = []
    yield from _spell_object(message, parts.append)
    return "".join(parts)


def _spell_object(message: Struct, write: Callable[[str], None]) -> Steps[None]:
    before, key = "{", ""
    try:
        for index, (key, value) in enumerate(message.fields.items()):
            if not index % _STEP_VALUES:
                yield
            write(f"{before}{_quoted(key)}:")
            before = ","
            if (text := _scalar_text(value)) is not None:
                write(text)
            else:
                yield from _spell_container(value, write)
    except PayloadInvalid as defect:
        raise defect.below(f".{key}") from None
    write("{}" if before == "{" else "}")


def _spell_list(message: ListValue, write: Callable[[str], None]) -> Steps[None]:
    before, index = "[", 0
    values = message.values
    try:
        for start in range(0, len(values), _STEP_VALUES):
            yield
            for index, value in enumerate(values[start : start + _STEP_VALUES], start):  # noqa: B007  # in the path of a defect
                write(before)
                before = ","
                if (text := _scalar_text(value)) is not None:
                    write(text)
                else:
                    yield from _spell_container(value, write)
    except PayloadInvalid as defect:
        raise defect.below(f"[{index}]") from None
    write("[]" if before == "[" else "]")


def _spell_container(value: Value, write: Callable[[str], None]) -> Steps[None]:
    if value.HasField("struct_value"):
        return _spell_object(value.struct_value, write)
    return _spell_list(value.list_value, write)


def _scalar_text(value: Value) -> str | None:
    """None for an object or a list."""
    match value.WhichOneof("kind"):
        case "number_value":
            number = value.number_value
            if not math.isfinite(number):
                raise PayloadInvalid(f"holds {number}, which is no JSON number")
            whole = number.is_integer() and abs(number) < _MAX_DIGITS
            return repr(int(number) if whole else number)
        case "string_value":
            return _quoted(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "null_value":
            return "null"
        case "struct_value" | "list_value":
            return None
    raise PayloadInvalid(f"is a Value without a kind: {HINT}")


def fill_struct(message: Struct, text: str) -> Steps[None]:
    """Fills an empty Struct with the object that a JSON text spells."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.MsgspecError:  # It holds a number that only Python's own decoder takes.
        value = json.loads(text, parse_int=float)
    yield
    yield from _fill_object(message, value)


def _fill_object(message: Struct, members: dict[str, Any]) -> Steps[None]:
    fields = message.fields
    for index, (key, member) in enumerate(members.items()):
        if not index % _STEP_VALUES:
            yield
        if (container := _set_scalar(fields[key], member)) is not None:
            yield from container


def _fill_list(message: ListValue, items: list[Any]) -> Steps[None]:
    add = message.values.add
    for index, item in enumerate(items):
        if not index % _STEP_VALUES:
            yield
        if (container := _set_scalar(add(), item)) is not None:
            yield from container


def _set_scalar(message: Value, value: Any) -> Steps[None] | None:
    """Sets a Value, and returns the steps that fill it if it is an object or a list."""
    kind = type(value)
    if kind is str:
        message.string_value = value
    elif kind is int or kind is float:
        message.number_value = value
    elif kind is bool:
        message.bool_value = value
    elif value is None:
        message.null_value = NULL_VALUE
    elif kind is dict:
        message.struct_value.SetInParent()
        return _fill_object(message.struct_value, value)
    else:
        message.list_value.SetInParent()
        return _fill_list(message.list_value, value)
    return None
