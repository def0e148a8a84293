"""Payloads between their two encodings in messages and the JSON text that is stored."""

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.struct_pb2 import Struct

from jobsvc.api.convert.struct_json import HINT, fill_struct, struct_text
from jobsvc.domain.canonical import canonical_steps
from jobsvc.domain.errors import PayloadRejected, PayloadTooLarge, Violation
from jobsvc.domain.payload import PayloadInvalid, check_levels, parse_payload, parse_steps
from jobsvc.event_loop.time_slice import at_once, in_slices
from jobsvc.event_loop.turns import turn
from jobsvc.v1 import payload_pb2 as pb

JSON_TEXT = pb.PAYLOAD_ENCODING_JSON_TEXT

#: A Struct of more bytes takes milliseconds to spell out, and a text of more characters to write as
#: one.
_LARGE = 16 * 1024
#: A text of more characters takes milliseconds to parse.
_LARGE_TEXT = 64 * 1024
#: A Struct has no more bytes for each of its JSON text: `0,` is 11 bytes.
_MAX_STRUCT_RATIO = 6


class LargePayload(Exception):
    """A payload that takes long to read, so that `read_large` has to come first."""


@dataclass(frozen=True, slots=True)
class LargeRead:
    """A large payload that has been read: its text and what that encodes, or its defect."""

    text: str = ""
    value: dict[str, Any] = field(default_factory=dict)
    canonical: bytes = b""
    defect: PayloadInvalid | None = None


def payload_text(
    payload: pb.Payload | None, field: str, max_bytes: int, read: LargeRead | None = None
) -> tuple[str | None, dict[str, Any]]:
    """Returns a payload as JSON text (None for the empty object) and as the object that it encodes.

    None stands for a payload that is not set: the empty object. `read` is what `read_large` has
    returned for the payload.

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
        if read is not None:
            if read.defect is not None:
                raise read.defect
            text = read.text
        elif encoding == "json":
            text = at_once(struct_text(payload.json))
        if _exceeds(text, max_bytes):
            raise _too_large(field, max_bytes)
        value = parse_payload(text) if read is None else read.value
    except PayloadInvalid as defect:
        path = f"{field}.{encoding}{defect.place}"
        raise PayloadRejected([Violation(path, f"{defect}")]) from None
    return (text if value else None), value


def check_size(payload: pb.Payload, field: str, max_bytes: int) -> None:
    """Checks a payload that has not been read.

    Raises:
        LargePayload: it takes long to read.
        PayloadTooLarge: it must have more than `max_bytes` as JSON text.
    """
    if text := payload.json_text:
        if len(text) > _LARGE_TEXT:
            raise LargePayload
    elif payload.HasField("json"):
        size = payload.json.ByteSize()
        if size > _MAX_STRUCT_RATIO * max_bytes:
            raise _too_large(field, max_bytes)
        if size > _LARGE:
            raise LargePayload


async def read_large(payload: pb.Payload, max_bytes: int, compared: bool = False) -> LargeRead:
    """Reads a payload, and lets other tasks run meanwhile; with its canonical form if `compared`.
    What has more than `max_bytes` as JSON text is not decoded."""
    try:
        text = payload.json_text or await in_slices(struct_text(payload.json))
        if _exceeds(text, max_bytes):
            return LargeRead(text)
        await turn()
        check_levels(text)
        value = await in_slices(parse_steps(text))
    except PayloadInvalid as defect:
        return LargeRead(defect=defect)
    return LargeRead(text, value, await in_slices(_canonical(value)) if compared else b"")


def _canonical(value: dict[str, Any]) -> Generator[None, None, bytes]:
    pieces = []
    for piece in canonical_steps(value):
        pieces.append(piece)
        yield
    return b"".join(pieces)


def _exceeds(text: str, max_bytes: int) -> bool:
    return 4 * len(text) > max_bytes and len(text.encode()) > max_bytes


def _too_large(field: str, max_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge([Violation(field, f"must have at most {max_bytes} bytes as JSON text")])


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
        await turn()  # To encode it is long work, too.
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
