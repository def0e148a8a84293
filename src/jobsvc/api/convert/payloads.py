"""Payloads between their two encodings in messages and the JSON text that is stored."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from jobsvc.domain.errors import PayloadRejected, PayloadTooLarge, Violation
from jobsvc.domain.payload import PayloadInvalid, parse_payload
from jobsvc.v1 import payload_pb2 as pb

#: From here on whole numbers are written with an exponent, as JavaScript does.
_MAX_DIGITS = 1e21

JSON_TEXT = pb.PAYLOAD_ENCODING_JSON_TEXT

_HINT = "the caller's library has dropped what it did not know; json_text is the safe spelling"


def payload_text(
    payload: pb.Payload | None, field: str, max_bytes: int
) -> tuple[str | None, dict[str, Any]]:
    """Returns a payload as JSON text (None for the empty object) and as the object that it encodes.

    None stands for a payload that is not set: the empty object.

    Raises:
        PayloadRejected: the payload is no JSON object as the contract wants it.
        PayloadTooLarge: the payload has more than `max_bytes` as JSON text.
    """
    if payload is None:
        return None, {}
    text = payload.json_text
    # Most payloads are texts, and WhichOneof takes longer.
    encoding = "json_text" if text else payload.WhichOneof("encoding")
    if encoding is None:
        raise PayloadRejected([Violation(field, f"is set without json or json_text: {_HINT}")])
    try:
        if encoding == "json":
            text = _struct_text(payload.json)
        if 4 * len(text) > max_bytes and len(text.encode()) > max_bytes:
            raise PayloadTooLarge(
                [Violation(field, f"must have at most {max_bytes} bytes as JSON text")]
            )
        value = parse_payload(text)
    except PayloadInvalid as defect:
        path = f"{field}.{encoding}{defect.place}"
        raise PayloadRejected([Violation(path, f"{defect}")]) from None
    return (text if value else None), value


def write_payload(message: pb.Payload, text: str | None, encoding: int) -> None:
    """Writes stored JSON text (None for the empty object) in the encoding that was asked for."""
    if encoding == JSON_TEXT:
        message.json_text = "{}" if text is None else text
        return
    message.json.SetInParent()
    if text is not None:
        message.json.update(json.loads(text, parse_int=float))


def struct_dict(struct: Struct) -> dict[str, Any]:
    """Returns a Struct as a plain object; whole numbers become integers.

    Raises:
        PayloadInvalid: the Struct holds NaN, Infinity, or a Value without a kind.
    """
    try:
        return _object(struct)
    except _KindMissing:
        defect = f"is a Value without a kind: {_HINT}"
        raise PayloadInvalid(defect, _place_without_kind(_members(struct))) from None


def _struct_text(struct: Struct) -> str:
    return json.dumps(struct_dict(struct), ensure_ascii=False, separators=(",", ":"))


class _KindMissing(Exception):
    """A Value has no kind."""


def _object(struct: Struct) -> dict[str, Any]:
    return {key: _plain(value) for key, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    match kind:
        case "string_value":
            return value.string_value
        case "number_value":
            number = value.number_value
            if not math.isfinite(number):
                raise PayloadInvalid(f"holds {number}, which is no JSON number")
            return int(number) if number.is_integer() and abs(number) < _MAX_DIGITS else number
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _object(value.struct_value)
        case "list_value":
            return [_plain(item) for item in _items(value.list_value)]
        case "null_value":
            return None
    raise _KindMissing


def _place_without_kind(values: Iterable[tuple[str, Value]]) -> str:
    """The path of the first Value without a kind, below what holds these; empty if there is none.

    A second walk, so that the first one need not note where it is.
    """
    for step, value in values:
        match value.WhichOneof("kind"):
            case None:
                return step
            case "struct_value":
                place = _place_without_kind(_members(value.struct_value))
            case "list_value":
                items = enumerate(_items(value.list_value))
                place = _place_without_kind((f"[{index}]", item) for index, item in items)
            case _:
                continue
        if place:
            return step + place
    return ""


def _members(struct: Struct) -> Iterator[tuple[str, Value]]:
    return ((f".{key}", value) for key, value in struct.fields.items())


def _items(values: ListValue) -> list[Value]:
    return list(values.values)
