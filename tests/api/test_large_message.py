"""Large messages are decoded in pieces, into the same as by protobuf in one go."""

from typing import TypeVar

import pytest
from google.protobuf.message import DecodeError, Message
from google.protobuf.struct_pb2 import Struct
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsvc.api.large_message import LARGE_BYTES, LargeMessage
from jobsvc.v1 import job_pb2, payload_pb2, worker_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from tests.support.loop_watch import loop_watched

M = TypeVar("M", bound=Message)


async def _decoded(kind: type[M], data: bytes) -> M:
    return await LargeMessage(kind(), data).decoded()


def _create(payload: payload_pb2.Payload) -> pb.CreateJobRequest:
    spec = job_pb2.JobSpec(queue="q", input=payload, unique_key="k")
    return pb.CreateJobRequest(spec=spec, request_id="r", validate_only=True)


def _outcomes(payload: payload_pb2.Payload) -> worker_service_pb2.ReportOutcomesRequest:
    success = worker_service_pb2.JobSuccess(output=payload)
    outcome = worker_service_pb2.JobOutcome(lease_id="l", success=success)
    return worker_service_pb2.ReportOutcomesRequest(
        worker_id="w", outcomes=[outcome] * 3, succeeded_lease_ids=["a"] * 30_000
    )


def _struct(count: int) -> payload_pb2.Payload:
    payload = payload_pb2.Payload(json=Struct())
    payload.json.update({"a": {"b": [None, True, "x", 1.5] * count}, "c": {}})
    payload.json.update({f"m{index}": index for index in range(count)})
    return payload


_LARGE = _struct(8000)


def _deep(levels: int) -> Struct:
    """Lists in lists, each as large as all that is in it."""
    struct = Struct()
    innermost = struct.fields["a"]
    for _ in range(levels):
        innermost = innermost.list_value.values.add()
    innermost.string_value = "x" * 2 * LARGE_BYTES
    struct.fields["a"].list_value.values.add(bool_value=True)
    return struct


_MESSAGES: dict[str, Message] = {
    "struct": _create(_LARGE),
    "text": _create(payload_pb2.Payload(json_text="x" * 200_000)),
    "batch": pb.BatchCreateJobsRequest(requests=[_create(_struct(20))] * 300),
    "batch of one": pb.BatchCreateJobsRequest(requests=[_create(_LARGE)]),
    "outcomes": _outcomes(_struct(20)),
    "deep": _create(payload_pb2.Payload(json=_deep(20))),
    "objects in lists": _create(
        payload_pb2.Payload(
            json={"a": [{"b": {"c\u00e4": [1, [None] * 30_000, 2]}}, {"d": [True] * 30_000}]}
        )
    ),
    "frame": worker_service_pb2.WorkRequest(report_outcomes=_outcomes(_LARGE)),
}


@pytest.mark.parametrize("message", _MESSAGES.values(), ids=_MESSAGES.keys())
async def test_message_is_the_same(message: Message) -> None:
    data = message.SerializeToString()
    assert len(data) > LARGE_BYTES
    assert await _decoded(type(message), data) == message


async def test_last_of_two_spellings_counts() -> None:
    text = payload_pb2.Payload(json_text="{}").SerializeToString()
    struct = _LARGE.SerializeToString()
    for data in (text + struct, struct + text, struct + text + struct):
        assert await _decoded(payload_pb2.Payload, data) == payload_pb2.Payload.FromString(data)


async def test_last_of_two_entries_of_a_map_counts() -> None:
    one, other = Struct(), Struct()
    one.update({"a": {"b": [None] * 30_000}, "c": [True] * 30_000})
    other.update({"a": {"d": [False] * 30_000}})
    for data in (
        one.SerializeToString() + other.SerializeToString(),
        other.SerializeToString() * 2,
    ):
        assert await _decoded(Struct, data) == Struct.FromString(data)


def _field(tag: int, content: bytes) -> bytes:
    size, sizes = len(content), b""
    while size >= 0x80:
        sizes += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([tag]) + sizes + bytes([size]) + content


_VALUES = _field(0x32, b"\x0a\x02\x08\x00" * 30_000)


@pytest.mark.parametrize(
    "entry",
    [
        _field(0x12, _VALUES) + _field(0x0A, b"a"),
        _field(0x12, _VALUES),
        _field(0x0A, b"a") + _field(0x12, _VALUES) + _field(0x12, b"\x20\x01"),
        _field(0x0A, b"a") + _field(0x12, _VALUES) + _field(0x0A, b"b"),
        _field(0x0A, b"\xff") + _field(0x12, _VALUES),
        _field(0x0A, b"a") + _field(0x12, _VALUES)[:-1],
    ],
)
async def test_odd_entry_of_a_map_is_read_as_the_library_reads_it(entry: bytes) -> None:
    data = _field(0x0A, entry)
    try:
        expected = Struct.FromString(data)
    except DecodeError:
        with pytest.raises(DecodeError):
            await _decoded(Struct, data)
    else:
        assert await _decoded(Struct, data) == expected


@given(at=st.integers(0), removed=st.integers(0, 4), noise=st.binary(max_size=4))
@settings(max_examples=50)
async def test_damaged_message_is_refused_or_the_same(at: int, removed: int, noise: bytes) -> None:
    whole = _create(_LARGE).SerializeToString()
    at %= len(whole)
    damaged = whole[:at] + noise + whole[at + removed :]
    try:
        expected = pb.CreateJobRequest.FromString(damaged)
    except DecodeError:
        with pytest.raises(DecodeError):
            await _decoded(pb.CreateJobRequest, damaged)
    else:
        assert await _decoded(pb.CreateJobRequest, damaged) == expected


async def test_other_tasks_run_in_between() -> None:
    data = pb.BatchCreateJobsRequest(requests=[_create(_struct(400))] * 400).SerializeToString()
    async with loop_watched() as passes:
        await _decoded(pb.BatchCreateJobsRequest, data)
    assert max(passes) < sum(passes) / 2, passes


_EMPTIES = _field(0x32, b"\x0a\x00" * 2**21)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (
            Struct,
            _field(0x0A, _field(0x0A, b"a") + _field(0x12, _field(0x32, b"\x0a\x00" * 2**21))),
        ),
        (Struct, _field(0x0A, b"") * 2**21),
        (pb.BatchCreateJobsRequest, b"\x0a\x00" * 2**21),
        (
            pb.BatchCreateJobsRequest,
            _field(0x0A, _field(0x0A, _field(0x62, b"") * 2**20 + _field(0x0A, b"q"))),
        ),
    ],
    ids=["one list", "one map", "batch", "one item"],
)
async def test_no_content_keeps_the_loop_for_long(kind: type[Message], data: bytes) -> None:
    async with loop_watched() as passes:
        await _decoded(kind, data)
    # Decoded in one go, each takes 30 to 120 ms.
    assert len(passes) > 5
    assert max(passes) < max(0.02, sum(passes) / 10), passes
