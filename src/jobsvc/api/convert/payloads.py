"""Payloads between their two encodings in messages and the JSON text that is stored."""

import json
from typing import Any

from google.protobuf.struct_pb2 import Struct

from jobsvc.api.convert.struct_json import HINT, fill_struct, struct_text
from jobsvc.domain.errors import PayloadRejected, PayloadTooLarge, Violation
from jobsvc.domain.payload import PayloadInvalid, parse_payload
from jobsvc.event_loop.time_slice import at_once, in_slices
from jobsvc.event_loop.turns import turn
from jobsvc.v1 import payload_pb2 as pb

JSON_TEXT = pb.PAYLOAD_ENCODING_JSON_TEXT

#: A Struct of more bytes takes milliseconds to spell out, and a text of more characters to write as
#: one.
_LARGE = 16 * 1024


def payload_text(
    payload: pb.Payload | None,
    field: str,
    max_bytes: int,
    spelled: str | PayloadInvalid | None = None,
) -> tuple[str | None, dict[str, Any]]:
    """Returns a payload as JSON text (None for the empty object) and as the object that it encodes.

    None stands for a payload that is not set: the empty object. `spelled` is what `spell_struct`
    has returned for the payload.

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
        raise PayloadRejected([Violation(field, f"is set without json or json_text: {HINT}")])
    try:
        if encoding == "json":
            if isinstance(spelled, PayloadInvalid):
                raise spelled
            text = spelled or at_once(struct_text(payload.json))
        if 4 * len(text) > max_bytes and len(text.encode()) > max_bytes:
            raise PayloadTooLarge(
                [Violation(field, f"must have at most {max_bytes} bytes as JSON text")]
            )
        value = parse_payload(text)
    except PayloadInvalid as defect:
        path = f"{field}.{encoding}{defect.place}"
        raise PayloadRejected([Violation(path, f"{defect}")]) from None
    return (text if value else None), value


class LargeStruct(Exception):
    """A Struct that takes long to spell out, so that `spell_struct` has to come first."""


def check_spelled(payload: pb.Payload, spelled: str | PayloadInvalid | None) -> None:
    """Raises `LargeStruct` for a payload that is one, unless it is spelled out."""
    if spelled is None and payload.HasField("json") and payload.json.ByteSize() > _LARGE:
        raise LargeStruct


async def spell_struct(payload: pb.Payload) -> str | PayloadInvalid:
    """Returns a Struct as JSON text, or why it has none, and lets other tasks run meanwhile."""
    try:
        text = await in_slices(struct_text(payload.json))
    except PayloadInvalid as defect:
        return defect
    await turn()  # To parse it is long work, too.
    return text


def write_payload(message: pb.Payload, text: str | None, encoding: int) -> None:
    """Writes stored JSON text (None for the empty object) in the encoding that was asked for."""
    if encoding == JSON_TEXT:
        message.json_text = "{}" if text is None else text
        return
    message.json.SetInParent()
    if text is not None:
        at_once(fill_struct(message.json, text))


async def write_payload_in_slices(message: pb.Payload, text: str | None, encoding: int) -> None:
    """Does the same, and lets other tasks run meanwhile if it takes long."""
    if text is None or encoding == JSON_TEXT:
        write_payload(message, text, encoding)
    else:
        await fill_struct_in_slices(message.json, text)


async def fill_struct_in_slices(message: Struct, text: str) -> None:
    """Sets a Struct to the object that JSON text spells, and lets other tasks run meanwhile if it
    takes long."""
    message.SetInParent()
    if len(text) > _LARGE:
        await in_slices(fill_struct(message, text))
    else:
        at_once(fill_struct(message, text))


def is_long(text: str, encoding: int) -> bool:
    """Whether it takes long to write a text in an encoding."""
    return encoding != JSON_TEXT and len(text) > _LARGE


def struct_dict(struct: Struct) -> dict[str, Any]:
    """Returns a Struct as a plain object; whole numbers become integers.

    Raises:
        PayloadInvalid: the Struct holds NaN, Infinity, or a Value without a kind.
    """
    found: dict[str, Any] = json.loads(at_once(struct_text(struct)))
    return found
