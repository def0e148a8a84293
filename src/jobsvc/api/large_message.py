"""Decodes large messages in pieces, so that other tasks run in between: 4 MiB can take 50 ms, and
gRPC would decode all messages that arrive together in one go."""

from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.event_loop.turns import turn

#: A larger message may take milliseconds.
LARGE_BYTES = 64 * 1024
#: A larger one may take more than one turn, some 6 ms, whatever is in it; to look for its pieces
#: takes a microsecond for each.
_ONE_TURN_BYTES = 512 * 1024

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
        await _merge(self._message, self._data, TimeSlice())
        return self._message


class _Field(NamedTuple):
    """A field of an encoded message. Sub-messages and texts have a content, from `content` on."""

    number: int
    start: int
    content: int
    end: int


async def _merge(message: Message, data: bytes, time_slice: TimeSlice) -> None:
    """Merges an encoded message in pieces: whole fields, and parts of its large sub-messages."""
    merged = 0
    for field in _fields(data):
        if field.end - merged < LARGE_BYTES:
            continue
        kind = message.DESCRIPTOR.fields_by_number.get(field.number)
        # The parts of one sub-message can be merged one by one, those of an item cannot.
        single = kind is not None and kind.message_type is not None and not kind.is_repeated
        if kind is not None and single and field.end - field.content >= LARGE_BYTES:
            message.MergeFromString(data[merged : field.start])
            part: Message = getattr(message, kind.name)
            part.SetInParent()
            await _merge(part, data[field.content : field.end], time_slice)
        else:
            message.MergeFromString(data[merged : field.end])
        merged = field.end
        if time_slice.used_up:
            await time_slice.yield_()
    message.MergeFromString(data[merged:])


def _fields(data: bytes) -> Iterator[_Field]:
    """The fields of an encoded message, as far as it is well-formed."""
    start = 0
    try:
        while start < len(data):
            tag, content = _number(data, start)
            match tag & 7:
                case 0:
                    _, content = _number(data, content)
                    size = 0
                case 1:
                    content, size = content + 8, 0
                case 2:
                    size, content = _number(data, content)
                case 5:
                    content, size = content + 4, 0
                case _:
                    return
            end = content + size
            if end > len(data):
                return
            yield _Field(tag >> 3, start, content, end)
            start = end
    except IndexError:
        return


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
