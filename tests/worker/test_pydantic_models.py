"""Pydantic models as inputs and outputs of processors."""

import enum
import json
from dataclasses import dataclass, make_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pydantic.dataclasses
import pytest
from google.protobuf.json_format import MessageToDict
from grpc import aio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    RootModel,
    ValidationError,
)

from jobsvc.app import Replica
from jobsvc.domain.payload import parse_payload
from jobsvc.domain.schema import Schema
from jobsvc.v1 import job_pb2
from jobsvc.worker import Processor, ProcessorInvalid, allow_unknown_keys
from jobsvc.worker.bound_processor import BoundProcessor, bind
from jobsvc.worker.payload import encoder
from tests.worker.support.callers import Caller, worker
from tests.worker.support.types_and_values import LEAVES


class Level(enum.IntEnum):
    LOW = 1


class Item(BaseModel):
    sku: str = Field(min_length=1)
    count: int = Field(1, ge=1)


@dataclass
class Address:
    city: str


class Order(BaseModel):
    items: list[Item]
    placed: datetime | None = None
    price: Decimal = Decimal()
    address: Address | None = None
    shipped_to: str = Field("", alias="shippedTo")


class Receipt(BaseModel):
    total: int
    placed: datetime | None = None
    took: timedelta = timedelta(days=400)
    shipped_to: str = Field("", alias="shippedTo")


async def sell(order: Order) -> Receipt:
    total = sum(item.count for item in order.items)
    return Receipt(total=total, placed=order.placed, shippedTo=order.shipped_to)


def _bind(annotation: Any) -> BoundProcessor:
    def process(value):  # type: ignore[no-untyped-def]  # annotated below
        return value

    process.__annotations__ = {"value": annotation, "return": annotation}
    return bind(Processor(process, "q"))


def _takes(annotation: Any, value: Any) -> bool:
    schema = Schema(json.dumps(_bind(annotation).input_schema))
    return not schema.violations(value, "input")


async def test_models_are_input_and_output(server: Replica, channel: aio.Channel) -> None:
    caller = Caller(channel)
    async with worker(server, Processor(sell, "q")):
        job = await caller.run(
            '{"items": [{"sku": "a", "count": 2.0}, {"sku": "b"}], "shippedTo": "x",'
            ' "placed": "2026-01-01T00:00:00"}'
        )
        assert job.status.state == job_pb2.JOB_STATE_COMPLETED
        assert MessageToDict(job.status.output.json) == {
            "total": 3,
            "placed": "2026-01-01T00:00:00",
            "took": "P1Y35D",
            "shippedTo": "x",
        }
        for bad in ("count: 0", 'sku: ""', "extra: 1", "count: 1.5"):
            key, value = bad.split(": ")
            item = f'{{"sku": "a", "{key}": {value}}}' if key != "sku" else '{"sku": ""}'
            with pytest.raises(aio.AioRpcError, match=rf"spec\.input\.items\[0\]\.{key}"):
                await caller.create(text=f'{{"items": [{item}]}}')


def test_unknown_keys_are_refused_unless_the_config_speaks_of_them() -> None:
    def model(**config: Any) -> type[BaseModel]:
        return type("M", (BaseModel,), {"model_config": ConfigDict(**config)})

    class Choices(BaseModel):
        a: int = Field(0, validation_alias=AliasChoices("a", "b"))

    unknown = {"unknown": 1}
    assert not _takes(model(), unknown)
    assert not _takes(model(extra="forbid"), unknown)
    assert _takes(model(extra="allow"), unknown)
    assert _takes(model(extra="ignore"), unknown)
    assert _takes(allow_unknown_keys(model()), unknown)
    assert _takes(model(populate_by_name=True), unknown), "its schema has no other name"
    assert _takes(Choices, {"b": 1})
    assert not _takes(Order, {"items": [], "address": {"city": "x", "ctiy": "y"}})
    assert "additionalProperties" not in (_bind(Order).output_schema or {})


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]


def test_union_of_models_is_an_input() -> None:
    decode = _bind(Cat | Dog).decode
    assert decode('{"kind": "dog"}') == Dog(kind="dog")
    assert _takes(Cat | Dog, {"kind": "cat", "lives": 1})
    assert not _takes(Cat | Dog, {"kind": "dog", "lives": 1})
    assert _takes(dict[str, Cat], {"a": {"kind": "cat"}})


def test_whole_floats_decode_even_in_strict_models() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        n: int

    assert _bind(Strict).decode('{"n": 1e20}').n == 10**20
    with pytest.raises(ValidationError):
        _bind(Strict).decode('{"n": 1.5}')


def test_model_inside_other_outputs_is_written_by_itself() -> None:
    text = encoder()({"items": [Receipt(total=1, shippedTo="x")]})
    assert json.loads(text)["items"][0]["shippedTo"] == "x"
    with pytest.raises(TypeError, match="complex is unsupported"):
        encoder()({"a": 1j})


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    x: int = 0


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (RootModel[list[int]], "is not written as a JSON object"),
        (Order | None, "is not written as a JSON object"),
        (make_dataclass("D", [("f", Order)]), r"D\.f: Order is a pydantic model, which"),
        (make_dataclass("D", [("f", list[Order])]), r"D\.f: Order is a pydantic model, which"),
        (PydanticDataclass, "is a pydantic dataclass, whose validators would not run"),
        (pydantic.create_model("M", f=Annotated[float, Field(multiple_of=0.01)]), "such as cents"),
        (pydantic.create_model("M", f=dict[float, int]), "the keys of a dict"),
        (
            pydantic.create_model("M", f=dict[Annotated[int, Field(ge=1)], int]),
            "the keys of a dict",
        ),
        (pydantic.create_model("M", f=Annotated[str, Field(pattern=r"\bx")]), r"M: pattern .* has"),
    ],
)
def test_model_that_cannot_be_an_input_is_refused_in_words(annotation: Any, why: str) -> None:
    with pytest.raises(ProcessorInvalid, match=why):
        _bind(annotation)


_KINDS: list[Any] = [
    *(kind for kind, _ in LEAVES if kind is not Any),
    AwareDatetime,
    NaiveDatetime,
    Base64Bytes,
    Level,
    list[int],
    tuple[int, str],
    dict[int, int],
    dict[UUID, float],
    dict[date, Decimal],
    dict[datetime, int],
    dict[Annotated[str, Field(pattern="^a", max_length=2)], int],
    Annotated[int, Field(multiple_of=5, ge=0)],
    Annotated[str, Field(pattern=r"^\S\d*$", max_length=3)],
    int | str | None,
    timedelta | None,
    Annotated[time, Field()],
]
_MODELS = [pydantic.create_model(f"M{n}", f=kind) for n, kind in enumerate(_KINDS)]
_COMPILED = [
    (bound.decode, Schema(json.dumps(bound.input_schema)), Schema(json.dumps(bound.output_schema)))
    for bound in map(_bind, _MODELS)
]
#: Values at the edges of what formats and keys allow.
_EDGES: list[Any] = [
    "2026-02-28T00:00:00.123456789-23:59",
    "0001-01-01T00:00:00+23:00",
    "9999-12-31T23:59:59-23:00",
    "9999-12-31T23:59:59.999999",
    "23:59:59.123456789Z",
    "23:59:59.999999999",
    "P999999998DT23H59M59.999999999S",
    "-P999999998DT23H59M59.5S",
    "PT999999999S",
    "PT999999H9999999M8888888S",
    "PT1193046H28M15S",
    "PT999999999H999999999M",
    "P999949000DT1193046H28M15S",
    "12E-4",
    "1e9999",
    "-0",
    {"01": 1},
    {"a": 1},
    {"2026-02-28": 1},
    {"2026-02-28T00:00:00": 1},
    {"abc": 1},
    1e23,
    10,
]
_VALUES = st.one_of(*(values for _, values in LEAVES)) | st.one_of(
    st.lists(st.integers() | st.just(1.0), max_size=3),
    st.sampled_from([{"1": 1.0}, {"01": 1}, {"a": 1}, [1, "a"], "\x1c1", "5", "a1", 5, 10.0, 7]),
    st.dictionaries(st.dates().map(str) | st.uuids().map(str), st.integers() | st.just("1.5")),
)


def _decode_and_write(value: Any) -> None:
    text = json.dumps({"f": value})
    for decode, taken, written in _COMPILED:
        if not taken.violations(parse_payload(text), "input"):
            output = encoder()(decode(text))
            assert not written.violations(msgspec.json.decode(output), "output"), output


@pytest.mark.parametrize("value", _EDGES, ids=str)
def test_what_the_schema_takes_at_the_edges_the_model_decodes_and_writes(value: Any) -> None:
    _decode_and_write(value)


@settings(max_examples=100)
@given(_VALUES)
def test_what_the_schema_takes_the_model_decodes_and_writes(value: Any) -> None:
    _decode_and_write(value)
