"""Decodes large messages in pieces, so that other tasks run in between: 4 MiB can take 50 ms, and
gRPC would decode all messages that arrive together in one go."""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.event_loop.turns import turn

#: A larger message may take milliseconds.
LARGE_BYTES = 64 * 1024
#: A larger one may take more than one turn, some 6 ms, whatever is in it; to look for its pieces
#: takes a microsecond for each.
_ONE_TURN_BYTES = 512 * 1024

#: A message that nests deeper is not divided further down: the library refuses it at 100 levels.
_MAX_LEVELS = 90

M = TypeVar("M", bound=Message)


async def decode_message(decode: Callable[[bytes], M], data: bytes) -> M:
    """Decodes a message, in its turn or in pieces if it is large.

    Raises:
        DecodeError: it is malformed.
    """
    if len(data) <= LARGE_BYTES:
        return decode(data)
    if len(data) <= _ONE_TURN_BYTES:
        await turn()
        return decode(data)
    return await LargeMessage(decode(b""), data).decoded()


class LargeMessage(Generic[M]):
    """A message that is not decoded yet."""

    def __init__(self, empty: M, data: bytes) -> None:
        self._message = empty
        self._data = data

    async def decoded(self) -> M:
        """Decodes the message; once.

        Raises:
            DecodeError: it is malformed.
        """
        await turn()
        await _merge(self._message, self._data, 0, len(self._data), _MAX_LEVELS, TimeSlice())
        return self._message


class _Field(NamedTuple):
    """A field of an encoded message. Sub-messages and texts have a content, from `content` on."""

    number: int
    start: int
    content: int
    end: int


async def _merge(
    message: Message, data: bytes, start: int, end: int, levels: int, time_slice: TimeSlice
) -> None:
    """Merges an encoded message in pieces: whole fields, and parts of its large sub-messages, down
    to so many levels."""
    while (field := _large_field(data, start, end)) is not None:
        part = None
        if levels and field.end - field.content >= LARGE_BYTES:
            # What comes before a field may be overruled by it.
            message.MergeFromString(data[start : field.start])
            start = field.start
            part = _part(message, data, field)
        if part is not None:
            await _merge(part[0], data, part[1], field.end, levels - 1, time_slice)
        else:
            message.MergeFromString(data[start : field.end])
        start = field.end
        if time_slice.used_up:
            await time_slice.yield_()
    message.MergeFromString(data[start:end])


def _part(message: Message, data: bytes, field: _Field) -> tuple[Message, int] | None:
    """The empty sub-message that a field stands for, and where its content begins; None if the
    field can only be merged as a whole."""
    kind = message.DESCRIPTOR.fields_by_number.get(field.number)
    if kind is None or kind.message_type is None:
        return None
    if not kind.is_repeated:
        part: Message = getattr(message, kind.name)
        part.SetInParent()
        return part, field.content
    if not kind.message_type.GetOptions().map_entry:
        return getattr(message, kind.name).add(), field.content
    if kind.message_type.fields_by_number[2].message_type is None:
        return None
    # An entry of a map: key and value, as every library writes them.
    try:
        tag, at = _number(data, field.content)
        size, at = _number(data, at)
        key = data[at : at + size].decode()
        value_tag, value = _number(data, at + size)
        value_size, value = _number(data, value)
    except (IndexError, UnicodeDecodeError):
        return None
    if (tag, value_tag, value + value_size) != (0x0A, 0x12, field.end):
        return None
    members = getattr(message, kind.name)
    members.pop(key, None)  # The last of two entries counts.
    return members[key], value


def _large_field(data: bytes, start: int, end: int) -> _Field | None:
    """The first field that ends `LARGE_BYTES` beyond the start of an encoded message; None if there
    is none before the message ends or is malformed. In one loop: there may be a million of fields.
    """
    at, enough = start, start + LARGE_BYTES
    try:
        while at < end:
            begin = at
            tag = data[at]
            at += 1
            if tag >= 0x80:
                tag, at = _number(data, begin)
            match tag & 7:
                case 2:
                    size = data[at]
                    at += 1
                    if size >= 0x80:
                        size, at = _number(data, at - 1)
                    content = at
                    at += size
                case 0:
                    _, content = _number(data, at)
                    at = content
                case 1:
                    content = at = at + 8
                case 5:
                    content = at = at + 4
                case _:
                    return None
            if at > end:
                return None
            if at >= enough:
                return _Field(tag >> 3, begin, content, at)
    except IndexError:
        pass
    return None


def _number(data: bytes, at: int) -> tuple[int, int]:
    """The number (a varint) that begins there, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
