"""Types that processors may take, each with JSON near to what they take."""

import enum
from collections.abc import Callable
from dataclasses import field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    Optional,
    TypedDict,
    Union,
    get_args,
    get_origin,
)
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from msgspec import Meta

#: An annotation, and a strategy of JSON values near to those that it takes. Any, here and
#: below: annotations have no type of their own, and the values are any JSON.
Typed = tuple[Any, st.SearchStrategy[Any]]

_NUMBERS = st.one_of(
    st.integers(-6, 12),
    st.integers(-6, 12).map(float),
    st.sampled_from([0.5, -1.5, 2**53, 2**63, 2**64, -(2**63), 1e22, 1e23, 1e300, 10**30, 1e-7]),
)
_ANYTHING = st.one_of(_NUMBERS, st.none(), st.booleans(), st.text("a1-é\n ", max_size=3))


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Spot(NamedTuple):
    x: int
    y: float = 0.0


class Key(msgspec.Struct, frozen=True):
    a: int
    b: str = ""


LEAVES: list[Typed] = [
    (int, _NUMBERS),
    (float, _NUMBERS),
    (bool, st.booleans()),
    (None, st.none()),
    (str, st.text("a1-é\n ", max_size=3)),
    (Any, _ANYTHING),
    (Color, st.sampled_from(["red", "blue", "green", 1])),
    (Level, st.sampled_from([1, 2, 3, 1.0, 2.5, "1"])),
    (Literal["a", "b"], st.sampled_from(["a", "b", "c", 1])),
    (Literal[1, "b", None], st.sampled_from([1, 1.0, "b", 2, None, True])),
]
_CLASSES: list[Typed] = [
    (Spot, st.lists(_NUMBERS, max_size=3)),
    (Key, st.fixed_dictionaries({"a": _NUMBERS}, optional={"b": st.just("x"), "c": st.none()})),
]


def _texts(*samples: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*samples, "yesterday", "", "x", "%%%", "5 min", "1"])


def _written(values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return values.map(msgspec.to_builtins)


_DATE_TIMES = _written(st.datetimes()) | _written(st.datetimes(timezones=st.just(UTC)))
_TIMES = _written(st.times()) | _written(st.times(timezones=st.just(UTC)))
_BASE64 = _written(st.binary(max_size=7))
LEAVES += [
    (datetime, _DATE_TIMES | _texts("2016-12-31T23:59:60Z", "2026-02-29T00:00:00Z")),
    (Annotated[datetime, Meta(tz=True)], _DATE_TIMES | _texts("2026-01-01 00:00:00Z")),
    (Annotated[datetime, Meta(tz=False)], _DATE_TIMES | _texts("2026-01-01")),
    (date, _written(st.dates()) | _texts("0000-01-01", "20260101")),
    (time, _TIMES | _texts("24:00:00", "23:59:60Z")),
    (Annotated[time, Meta(tz=True)], _TIMES),
    (Annotated[time, Meta(tz=False)], _TIMES),
    (timedelta, _written(st.timedeltas()) | _texts("P1Y", "P1W", "PT1H", "P999999999DT24H")),
    (UUID, _written(st.uuids()) | _texts("123456781234123412341234567890ab")),
    (Decimal, _written(st.decimals()) | _texts("abc", "1e99999999999999999999") | _NUMBERS),
    (bytes, _BASE64 | _texts("AA", "A_==")),
]


@st.composite
def _constrained(draw: st.DrawFn) -> Typed:
    bounds = st.none() | st.integers(-5, 10)
    lengths = st.none() | st.integers(0, 5)
    kind = draw(st.sampled_from([int, float, str, bytes]))
    if kind in (int, float):
        low, high = draw(st.sampled_from(["ge", "gt"])), draw(st.sampled_from(["le", "lt"]))
        steps = st.none() | st.integers(1, 10) if kind is int else st.sampled_from([None, 2.0])
        given: dict[str, Any] = {low: draw(bounds), high: draw(bounds)}
        meta = Meta(**given, multiple_of=draw(steps))
        return Annotated[kind, meta], _NUMBERS
    pattern = draw(st.sampled_from([None, r"^\w*$", r"\d", r"^\S+$", "^[^-]*$", "^a?.$"]))
    meta = Meta(
        min_length=draw(lengths),
        max_length=draw(lengths),
        pattern=pattern if kind is str else None,
    )
    values = _BASE64 if kind is bytes else st.text("a1-é\u0661\n \x1c\ufeff", max_size=6)
    return Annotated[kind, meta], values


@st.composite
def _collections(draw: st.DrawFn, inner: st.SearchStrategy[Typed]) -> Typed:
    kind, values = draw(inner)
    lists = st.lists(values, max_size=4)
    make: Callable[[], Any] = draw(
        st.sampled_from(
            [
                lambda: list[kind],  # type: ignore[valid-type]  # made at run time, as below
                lambda: set[kind],  # type: ignore[valid-type]
                lambda: frozenset[kind],  # type: ignore[valid-type]
                lambda: tuple[kind, ...],  # type: ignore[valid-type]
                lambda: tuple[kind, int],  # type: ignore[valid-type]
            ]
        )
    )
    annotation = make()
    if draw(st.booleans()) and annotation != tuple[kind, int]:  # type: ignore[valid-type]
        length = draw(st.integers(0, 3))
        annotation = Annotated[annotation, Meta(min_length=length, max_length=length + 1)]
    return annotation, lists | st.tuples(values, _NUMBERS).map(list)


_KEYS: list[tuple[Any, st.SearchStrategy[str]]] = [
    (str, st.text("a1", max_size=2)),
    (Annotated[str, Meta(min_length=1, pattern="^a")], st.text("a1", max_size=2)),
    (int, st.sampled_from(["1", "01", "-0", "-5", "1.0", "", "9" * 30])),
    (float, st.sampled_from(["1", "1.5", "x"])),
    (UUID, st.uuids().map(str) | st.just("x")),
    (date, st.dates().map(str) | st.just("x")),
    (datetime, _DATE_TIMES),
    (Decimal, st.sampled_from(["1", "1.0", "x"])),
    (bytes, _BASE64),
    (Color, st.sampled_from(["red", "green"])),
    (Level, st.sampled_from(["1", "3", "1.0"])),
    (Literal["a", 1], st.sampled_from(["a", "1", "b"])),
]


@st.composite
def _dicts(draw: st.DrawFn, inner: st.SearchStrategy[Typed]) -> Typed:
    (key, keys), (kind, values) = draw(st.sampled_from(_KEYS)), draw(inner)
    annotation: Any = dict[key, kind]  # type: ignore[valid-type]  # as above
    if draw(st.booleans()):
        annotation = Annotated[annotation, Meta(min_length=draw(st.integers(0, 2)))]
    return annotation, st.dictionaries(keys, values, max_size=3)


@st.composite
def objects(draw: st.DrawFn, inner: st.SearchStrategy[Typed]) -> Typed:
    """A dataclass, Struct or TypedDict of up to three fields, and objects near to it."""
    fields = [(f"f{n}", *draw(inner)) for n in range(draw(st.integers(0, 3)))]
    needed = draw(st.integers(0, len(fields)))
    kinds = [(name, kind) for name, kind, _ in fields]
    name = f"C{draw(st.integers(0, 999))}"
    style = draw(st.sampled_from(["dataclass", "struct", "frozen", "row", "typed dict"]))
    annotation: Any
    if style == "dataclass":
        optional = [(name, kind, field(default=None)) for name, kind in kinds[needed:]]
        annotation = make_dataclass(name, [*kinds[:needed], *optional])
    elif style == "typed dict":
        make_typed_dict: Any = TypedDict  # type checkers know only literal names
        annotation = make_typed_dict(name, dict(kinds), total=needed > 0)
    else:
        optional = [(name, kind, None) for name, kind in kinds[needed:]]
        annotation = msgspec.defstruct(
            name,
            [*kinds[:needed], *optional],
            frozen=style == "frozen",
            array_like=style == "row",
            rename="upper" if draw(st.booleans()) else None,
            tag=draw(st.sampled_from([None, 1, "t"])),
        )
    upper = draw(st.booleans())
    values: st.SearchStrategy[Any] = st.fixed_dictionaries(
        {n.upper() if upper else n: v for n, _, v in fields[:needed]},
        optional={
            **{n.upper() if upper else n: v for n, _, v in fields[needed:]},
            "type": st.sampled_from([1, 1.0, "t"]),
            "unknown": st.none(),
        },
    )
    if style == "row":
        values |= st.tuples(*(v for _, _, v in fields)).map(list)
    return annotation, values


@st.composite
def _unions(draw: st.DrawFn, inner: st.SearchStrategy[Typed], bounds: bool) -> Typed:
    members = draw(st.lists(inner, min_size=1, max_size=3))
    # msgspec 0.22 miscounts references where bounds stand next to arrays or objects.
    kinds = [kind if bounds else _without_bounds(kind) for kind, _ in members]
    annotation = Optional[kinds[0]] if len(kinds) == 1 else Union[tuple(kinds)]  # noqa: UP007,UP045  # made at run time
    return annotation, st.one_of(*(values for _, values in members), st.none())


def _without_bounds(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[0]
    if get_origin(annotation) is Union:
        return Union[tuple(map(_without_bounds, get_args(annotation)))]  # noqa: UP007  # as above
    return annotation


def _nested(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(_collections(inner), _dicts(inner), objects(inner), _unions(inner, False))


_SCALARS = st.sampled_from(LEAVES) | _constrained()

#: Types of any shape.
ANY_TYPE: st.SearchStrategy[Typed] = st.recursive(
    _SCALARS | st.sampled_from(_CLASSES) | _unions(_SCALARS, True), _nested, max_leaves=5
)
