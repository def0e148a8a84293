"""Kinds of rules for the values of fields: the words of a comment, and values on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1.payload_pb2 import PayloadSchema

#: An id that no job has.
ID = "0190f3e4-7b2a-7cde-8000-0123456789ab"


@dataclass(frozen=True)
class Rule:
    """A sentence, values that keep the rule, at its bounds, and values that break it, just beyond.

    A value that is a `Below` is refused at a path below that of the field.
    """

    words: str
    within: Sequence[Any]
    beyond: Sequence[Any]


@dataclass(frozen=True)
class Below:
    """A value of a repeated field or a map that is wrong in one item: `[0]`, `['key']`."""

    value: Any
    item: str


def _range(lower: float, upper: float) -> str:
    return f"{lower:,} to {upper:,}"


def whole(lower: int, upper: int) -> Rule:
    """A whole number in a range."""
    return Rule(f"{_range(lower, upper)}.", (lower, upper), (lower - 1, upper + 1))


def factor(upper: int) -> Rule:
    """A number from 0 on."""
    nan = float("nan")
    return Rule(f"0 to {upper:,}.", (0.0, float(upper)), (-0.5, upper + 0.5, nan))


def not_negative(bits: int) -> Rule:
    """A whole number that is bounded by its type alone."""
    return Rule("Not negative", (0, 2 ** (bits - 1) - 1), (-1,))


def length(seconds: float) -> Duration:
    """A duration of so many seconds."""
    found = Duration()
    found.FromMicroseconds(round(seconds * 1_000_000))
    return found


def seconds(lower: float, upper: float, words: str = "", step: float = 0.5) -> Rule:
    """A duration; `step` is less than what lies between the bounds and other lengths that fit."""
    return Rule(
        words or f"{_range(lower, upper)} seconds.",
        (length(lower), length(upper)),
        (length(lower - step), length(upper + step), Duration(seconds=9, nanos=-1)),
    )


def characters(lower: int, upper: int) -> Rule:
    """How many characters a text has."""
    count = f"At most {upper:,}" if lower == 0 else _range(lower, upper)
    within, beyond = ["x" * max(lower, 1), "ü" * upper], ["ü" * (upper + 1)]
    if lower:
        beyond.append("x" * (lower - 1))
    return Rule(f"{count} characters", within, beyond)


def no_controls(words: str = "no control characters") -> Rule:
    """A text in one line."""
    return Rule(words, ("a b",), ("a\nb", "a\x1b[0mb", "\u2028"))


#: They are escaped, as the comments of the messages say.
CONTROLS = Rule("", ("a\nb", "a\x1b[0mb"), ())


_NAME = "a" + "-0" * 31
_NAMES = ("a", "a9", _NAME)
_NOT_NAMES = ("A", "9a", "a-", "a_b", "-", f"{_NAME}0", "a\n", " a", "ä")


def queue_name(words: str = "Name of the queue", may_be_empty: bool = False) -> Rule:
    """A name of a queue."""
    return Rule(words, _NAMES, _NOT_NAMES if may_be_empty else ("", *_NOT_NAMES))


#: Where the comment says what a name looks like.
QUEUE_NAME = queue_name("Matches `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`")


QUEUE_NAMES = Rule(
    "Names of queues", [[*_NAMES]], [Below(["a", bad], "[1]") for bad in ("", *_NOT_NAMES)]
)


_NOT_UUIDS = (ID.upper(), ID[:-1], f"{ID}0", ID.replace("-", ""), f"{{{ID}}}", f"{ID}\n", "x")


def uuid(may_be_empty: bool = False) -> Rule:
    """A UUID."""
    return Rule(
        "A UUID in canonical form", (ID,), _NOT_UUIDS if may_be_empty else ("", *_NOT_UUIDS)
    )


UUIDS = Rule("UUIDs in canonical form", ([ID],), [Below([bad], "[0]") for bad in ("", *_NOT_UUIDS)])


def items(lower: int, upper: int, item: Any, range_words: str = "") -> Rule:
    """How many items a list has; `item` makes the one of a number, or is each."""
    each = item if callable(item) else lambda _: item

    def some(count: int) -> list[Any]:
        return [each(n) for n in range(count)]

    beyond = [some(upper + 1)] + ([some(lower - 1)] if lower else [])
    return Rule(
        f"{range_words or _range(lower, upper)} items", (some(max(lower, 1)), some(upper)), beyond
    )


def entries(upper: int) -> Rule:
    """How many entries a map has."""
    some = [{f"key{n}": "" for n in range(count)} for count in (upper, upper + 1)]
    return Rule(f"At most {upper:,} entries", some[:1], some[1:])


def _at(key: str) -> str:
    return f"[{key[:80]!r}]"


def keys(words: str, within: Sequence[str], beyond: Sequence[str]) -> Rule:
    """The keys of a map."""
    return Rule(words, [dict.fromkeys(within, "")], [Below({k: ""}, _at(k)) for k in beyond])


def values(words: str, within: Sequence[str], beyond: Sequence[str]) -> Rule:
    """The values of a map."""
    return Rule(words, [{"k": v} for v in within], [Below({"k": v}, "['k']") for v in beyond])


def uuid_of(number: int) -> str:
    """The id of a number."""
    return f"{ID[:-4]}{number:04x}"


def not_zero(words: str) -> Rule:
    """A time that a library has not dropped."""
    return Rule(words, (Timestamp(seconds=4_000_000_000),), (Timestamp(),))


def _schema(size_bytes: int) -> PayloadSchema:
    text = '{"description":""}'
    filling = "x" * (size_bytes - len(text) - 4)  # Tag and length have four bytes.
    return PayloadSchema(json_schema_text=text.replace('""', f'"{filling}"'))


SCHEMA = Rule("At most 1 MiB", (_schema(1 << 20),), (_schema((1 << 20) + 1),))
