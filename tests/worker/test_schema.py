"""Schemas of Python types: what they say, which keys they take, which types they refuse."""

import enum
import subprocess
import sys
from dataclasses import dataclass, make_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from msgspec import Meta

from jobsvc.worker import Processor, ProcessorInvalid, allow_unknown_keys
from jobsvc.worker.bound_processor import bind
from jobsvc.worker.schema import object_schema


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    x: int
    y: int = 0


def _of_field(annotation: Any) -> dict[str, Any]:
    schema: dict[str, Any] = object_schema(make_dataclass("C", [("f", annotation)]))
    field: dict[str, Any] = schema["properties"]["f"]
    return field


_ZONED, _LOCAL = Meta(tz=True), Meta(tz=False)


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (datetime, {"anyOf": [{"format": "date-time"}, {"format": "date-time-local"}]}),
        (Annotated[datetime, _ZONED], {"format": "date-time"}),
        (Annotated[datetime, _LOCAL], {"format": "date-time-local"}),
        (time, {"anyOf": [{"format": "time"}, {"format": "time-local"}]}),
        (Annotated[time, _ZONED], {"format": "time"}),
        (Annotated[time, _LOCAL], {"format": "time-local"}),
        (date, {"format": "date"}),
        (timedelta, {"format": "duration"}),
        (UUID, {"format": "uuid"}),
        (Decimal, {"format": "decimal"}),
        (bytes, {"format": "byte", "contentEncoding": "base64"}),
        (Annotated[str, Meta(pattern=r"^\d+$")], {"pattern": "^[0-9]+$"}),
    ],
)
def test_each_type_that_is_a_text_names_its_format(annotation: Any, schema: dict[str, Any]) -> None:
    assert _of_field(annotation) == {"type": "string", **schema}


def test_length_of_a_set_is_kept_where_its_items_differ_as_their_json_does() -> None:
    assert _of_field(Annotated[set[Literal["a", 1]], Meta(min_length=2)])["minItems"] == 2
    assert _of_field(Annotated[set[str], Meta(min_length=2)])["minItems"] == 2


def test_constraints_and_remarks_are_kept() -> None:
    count = Annotated[int, Meta(ge=1, lt=9, description="How many.", examples=[2])]
    assert _of_field(count) == {
        "description": "How many.",
        "examples": [2],
        "type": "integer",
        "minimum": 1,
        "exclusiveMaximum": 9,
    }
    # Beyond, validators disagree whether 1e23 is a multiple of 10.
    exact = {"minimum": 1 - 2**53, "maximum": 2**53 - 1}
    fives = Annotated[float, Meta(multiple_of=5)]
    assert _of_field(fives) == {"type": "number", "multipleOf": 5, **exact}
    assert _of_field(set[Any])["items"] == {"type": ["null", "boolean", "number", "string"]}
    assert _of_field(dict[int, str])["propertyNames"]["pattern"] == "^(?:0|-?[1-9][0-9]*)$"
    assert _of_field(dict[Level, str])["propertyNames"] == {"enum": ["1"]}


@pytest.mark.parametrize(
    ("least", "most", "taken"),
    [
        (0, 1, [True, True, False, False, False]),
        (0, 2, [True, True, True, False, False]),
        (1, 3, [False, True, True, True, False]),
        (2, 4, [False, False, True, True, True]),
        (3, 3, [False, False, False, True, False]),
        (4, None, [False, False, False, False, True]),
    ],
)
def test_lengths_of_bytes_are_counted_in_bytes(
    least: int, most: int | None, taken: list[bool]
) -> None:
    schema = _of_field(Annotated[bytes, Meta(min_length=least, max_length=most)])
    validator = jsonschema_rs.Draft202012Validator(schema)
    texts = ["", "AA==", "AAA=", "AAAA", "AAAAAA=="]
    assert [validator.is_valid(text) for text in texts] == taken


@dataclass
class Article:
    url: str
    words: int = 0


class Cat(msgspec.Struct, tag=True):
    lives: int = 9


class Dog(msgspec.Struct, tag=True):
    tricks: list[str] = []


class Options(TypedDict, total=False):
    words: int


class Nested(msgspec.Struct):
    article: Article | None = None
    pets: list[Cat | Dog] = []


@allow_unknown_keys
@dataclass
class Open:
    url: str = ""


@dataclass
class MoreOpen(Open):
    words: int = 0


@allow_unknown_keys
class OpenOptions(TypedDict, total=False):
    words: int


@allow_unknown_keys
class OpenRow(msgspec.Struct, array_like=True):
    x: int = 0


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (Article, {"url": "u", "words": 1}, {"url": "u", "wrods": 1}),
        (Options, {"words": 1}, {"wrods": 1}),
        (Cat, {"type": "Cat", "lives": 1}, {"type": "Cat", "lifes": 1}),
        (Cat | Dog, {"type": "Dog", "tricks": []}, {"type": "Cat", "tricks": []}),
        (Nested, {"article": {"url": "u"}}, {"article": {"url": "u", "wrods": 1}}),
        (Nested, {"pets": [{"type": "Cat"}]}, {"pets": [{"type": "Cat", "tricks": []}]}),
    ],
)
def test_unknown_keys_are_refused_at_any_depth(annotation: Any, good: Any, bad: Any) -> None:
    validator = jsonschema_rs.Draft202012Validator(object_schema(annotation))
    assert validator.is_valid(good)
    assert not validator.is_valid(bad)


@pytest.mark.parametrize("annotation", [Open, MoreOpen, OpenOptions, dict, dict[str, int]])
def test_type_may_allow_unknown_keys(annotation: Any) -> None:
    assert jsonschema_rs.is_valid(object_schema(annotation), {"unknown": 1})


def test_row_may_allow_more_items() -> None:
    assert (
        "maxItems" not in object_schema(make_dataclass("C", [("f", OpenRow)]))["$defs"]["OpenRow"]
    )
    assert object_schema(make_dataclass("C", [("f", Pair)]))["$defs"]["Pair"]["maxItems"] == 2


def test_output_may_have_more_keys_than_its_type_names() -> None:
    def echo(article: Article) -> Article:
        return article

    bound = bind(Processor(echo, "q"))
    more = {"url": "u", "found": 1}
    assert bound.input_schema is not None
    assert bound.output_schema is not None
    assert not jsonschema_rs.is_valid(bound.input_schema, more)
    assert jsonschema_rs.is_valid(bound.output_schema, more)


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (Annotated[float, Meta(multiple_of=0.01)], "count in whole units, such as cents"),
        (Annotated[str, Meta(pattern="(?i)a")], "has flags"),
        (set[list[int]], "has no hash"),
        (set[Article], "has no hash"),
        (set[Cat], "has no hash"),
        (set[tuple[Any, ...]], "has no hash"),
        (Annotated[set[Decimal], Meta(min_length=2)], "min_length cannot be checked"),
        (Annotated[dict[Decimal, int], Meta(min_length=2)], "min_length cannot be checked"),
        (dict[float, int], "the keys of a dict"),
        (dict[Annotated[int, Meta(ge=1)], int], "the keys of a dict"),
        (Literal[1] | float, "leave float out"),
        (Level | float, "leave float out"),
        (Annotated[int, Meta(ge=5)] | float, "leave float out"),
        (int | Annotated[int, Meta(ge=5)], "write them as one type"),
        (complex, "complex is no type that JSON is decoded to"),
    ],
)
def test_type_whose_schema_would_take_too_much_is_refused_by_its_place(
    annotation: Any, why: str
) -> None:
    def process(order):  # type: ignore[no-untyped-def]  # annotated below
        return order

    process.__annotations__ = {"order": make_dataclass("Order", [("price", annotation)])}
    with pytest.raises(ProcessorInvalid, match=rf"process: Order\.price: .*{why}"):
        bind(Processor(process, "q"))


#: msgspec 0.22 does not survive a collection of garbage with such a type.
_FIXED_AND_BOUNDED = """
import gc, os
from dataclasses import make_dataclass
from typing import Annotated
from msgspec import Meta
from jobsvc.worker.schema import object_schema
gc.disable()
try:
    object_schema(make_dataclass("C", [("f", tuple[int, int] | Annotated[int, Meta(ge=5)])]))
except Exception as refusal:
    print(refusal, flush=True)
os._exit(0)
"""


def test_union_of_a_fixed_tuple_and_bounds_is_refused() -> None:
    command = [sys.executable, "-c", _FIXED_AND_BOUNDED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("C.f: a union of a tuple of fixed length and a type with bounds")


def _numbers(x: "Numbers") -> None: ...


class Numbers(msgspec.Struct):
    n: int = 0
    level: Level = Level.LOW
    literal: Literal[1, 2] = 1
    pair: Pair = Pair(0)
    free: Any = None
    raw: msgspec.Raw = msgspec.Raw(b"0")
    half: float = 0.0


def test_whole_floats_decode_as_integers() -> None:
    decode = bind(Processor(_numbers, "q")).decode
    found = decode('{"n": 1E2, "level": 1.0, "literal": 2e0, "pair": [3.0, -0.0], "half": 2.5}')
    assert found == Numbers(100, Level.LOW, 2, Pair(3, 0), half=2.5)
    assert [type(n) for n in (found.n, found.literal, *found.pair)] == [int] * 4
    assert decode('{"n": 9007199254740992.0}').n == 2**53
    assert decode('{"n": 1e300, "raw": {"a": 1}}').n == int(1e300)
    assert type(decode('{"free": 1.0}').free) is float, "only a refused input is looked at again"
    for text in ('{"n": 1.5}', '{"n": "1"}', '{"n": 1.0, "level": 9}'):
        with pytest.raises(msgspec.ValidationError, match="level" if "level" in text else "n"):
            decode(text)
