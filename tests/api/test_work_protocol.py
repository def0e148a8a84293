"""A worker that breaks the protocol loses its stream, and nobody else loses anything."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import Refusal
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import HandStream, open_stream, subscribe, work
from tests.support.settings import TEST_SETTINGS
from tests.support.stream_write import write

_VIOLATION = (grpc.StatusCode.INVALID_ARGUMENT, "WORK_PROTOCOL_VIOLATION")


@pytest.fixture
async def bystander(create: Create, channel: aio.Channel) -> AsyncIterator[HandStream]:
    """Another worker, whose stream must live on and serve at the end of the test."""
    async with work(channel, worker_id="bystander") as stream:
        yield stream
        await create()
        (lease,) = await stream.dispatched()
        assert await stream.report(success(lease)) == [OK]


def _bad(worker: dict[str, Any] | None = None, **fields: Any) -> pb.Subscribe:
    """A subscribe frame with some fields replaced."""
    frame = subscribe()
    if worker is not None:
        frame.worker.CopyFrom(pb.WorkerInfo(**worker))
    for name, value in fields.items():
        frame.ClearField(name)
        frame.MergeFrom(pb.Subscribe(**{name: value}))
    return frame


_QUEUE = pb.QueueSubscription(queue="q")
_BAD_SUBSCRIBES: list[tuple[pb.Subscribe, str]] = [
    (pb.Subscribe(), "queues"),
    (_bad(queues=[]), "queues"),
    (_bad(queues=[pb.QueueSubscription(queue=f"q{n}") for n in range(65)]), "queues"),
    (_bad(queues=[_QUEUE, pb.QueueSubscription(queue="Q")]), "queues[1].queue"),
    (_bad(queues=[pb.QueueSubscription(queue="q", max_leases=-1)]), "queues[0].max_leases"),
    (_bad(window=-1), "window"),
    (_bad(window=10_001), "window"),
    (_bad(window=10**9), "window"),
    (_bad(worker={}), "worker.worker_id"),
    (_bad(worker={"worker_id": "w" * 129}), "worker.worker_id"),
    (_bad(worker={"worker_id": "a\0"}), "worker.worker_id"),
    (_bad(worker={"worker_id": "w\n2026-01-01 INFO all is well"}), "worker.worker_id"),
    (_bad(worker={"worker_id": "w", "version": "\x1b[2J"}), "worker.version"),
    (_bad(worker={"worker_id": "w", "sdk": "\x9b2J"}), "worker.sdk"),
    (_bad(worker={"worker_id": "w", "labels": {"a": "\t"}}), "worker.labels['a']"),
    (_bad(worker={"worker_id": "w", "labels": {"\u2028": ""}}), "worker.labels['\\u2028']"),
    (_bad(worker={"worker_id": "w", "sdk": "s" * 65}), "worker.sdk"),
    (_bad(worker={"worker_id": "w", "version": "1" * 65}), "worker.version"),
    (_bad(worker={"worker_id": "w", "labels": {f"{n}": "" for n in range(17)}}), "worker.labels"),
    (_bad(worker={"worker_id": "w", "labels": {"a": "x" * 256}}), "worker.labels['a']"),
    (_bad(worker={"worker_id": "w", "labels": {"a" * 256: ""}}), f"worker.labels['{'a' * 80}']"),
    (_bad(lease_duration=Duration(seconds=4)), "lease_duration"),
    (_bad(lease_duration=Duration(seconds=3601)), "lease_duration"),
    (_bad(payload_encoding=77), "payload_encoding"),
    (_bad(resume_token="t" * 65), "resume_token"),
    (_bad(held_lease_ids=["x"] * 10_001), "held_lease_ids"),
    (_bad(held_lease_ids=["x", "x" * 129]), "held_lease_ids[1]"),
    (_bad(max_dispatch_leases=-1), "max_dispatch_leases"),
    (_bad(max_dispatch_leases=1001), "max_dispatch_leases"),
]


@pytest.mark.parametrize(
    ("frame", "path"), _BAD_SUBSCRIBES, ids=[f"{n}-{p}" for n, (_, p) in enumerate(_BAD_SUBSCRIBES)]
)
async def test_broken_rule_of_subscribe_ends_the_stream(
    bystander: HandStream, channel: aio.Channel, tables: Tables, frame: pb.Subscribe, path: str
) -> None:
    before = await tables()
    async with open_stream(channel) as stream:
        await stream.send(subscribe=frame)
        refusal = await stream.refusal()
    assert refusal.what == _VIOLATION
    assert refusal.message.startswith(f"subscribe: {path}: ")
    assert await tables() == before


_FRAMES: dict[str, dict[str, Any]] = {
    "set_window": {"set_window": pb.SetWindow(window=1)},
    "acknowledge": {"acknowledge": pb.Acknowledge(sequence=1)},
    "extend_leases": {
        "extend_leases": pb.ExtendLeasesRequest(extensions=[pb.LeaseExtension(lease_id="x")])
    },
    "report_outcomes": {
        "report_outcomes": pb.ReportOutcomesRequest(outcomes=[pb.JobOutcome(lease_id="x")])
    },
    "empty": {},
}


@pytest.mark.parametrize("frame", _FRAMES.values(), ids=_FRAMES.keys())
async def test_first_frame_must_be_subscribe(
    bystander: HandStream, channel: aio.Channel, frame: dict[str, Any]
) -> None:
    async with open_stream(channel) as stream:
        await stream.send(**frame)
        refusal = await stream.refusal()
    assert refusal.what == _VIOLATION
    assert refusal.message == "the first frame must be subscribe"


async def test_half_close_without_subscribe_is_a_violation(
    bystander: HandStream, channel: aio.Channel
) -> None:
    async with open_stream(channel) as stream:
        await stream.call.done_writing()
        assert (await stream.refusal()).what == _VIOLATION


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, subscribe_seconds=1.0)])
async def test_saying_nothing_ends_the_stream(bystander: HandStream, channel: aio.Channel) -> None:
    async with open_stream(channel) as stream:
        assert (await stream.refusal()).what == _VIOLATION


_BAD_FRAMES: dict[str, dict[str, Any]] = {
    "empty": {},
    "second subscribe": {"subscribe": subscribe()},
    "window -1": {"set_window": pb.SetWindow(window=-1)},
    "window 10,001": {"set_window": pb.SetWindow(window=10_001)},
    "window 10^9": {"set_window": pb.SetWindow(window=10**9)},
    "no outcomes": {"report_outcomes": pb.ReportOutcomesRequest()},
    "1,001 outcomes": {
        "report_outcomes": pb.ReportOutcomesRequest(outcomes=[pb.JobOutcome(lease_id="x")] * 1001)
    },
    "1,000 outcomes and an id": {
        "report_outcomes": pb.ReportOutcomesRequest(
            outcomes=[pb.JobOutcome(lease_id="x")] * 1000, succeeded_lease_ids=["x"]
        )
    },
    "no extensions": {"extend_leases": pb.ExtendLeasesRequest()},
    "1,001 extensions": {
        "extend_leases": pb.ExtendLeasesRequest(extensions=[pb.LeaseExtension(lease_id="x")] * 1001)
    },
    "percent 101": {
        "extend_leases": pb.ExtendLeasesRequest(
            extensions=[pb.LeaseExtension(lease_id="x", progress=job_pb2.JobProgress(percent=101))]
        )
    },
}


@pytest.mark.parametrize("frame", _BAD_FRAMES.values(), ids=_BAD_FRAMES.keys())
async def test_frame_out_of_order_ends_the_stream(
    bystander: HandStream, channel: aio.Channel, frame: dict[str, Any]
) -> None:
    async with work(channel) as stream:
        await stream.send(**frame)
        assert (await stream.refusal()).what == _VIOLATION


def _raw(channel: aio.Channel) -> HandStream:
    """A stream on which bytes are sent as they are."""
    call = channel.stream_stream(
        "/jobsvc.v1.WorkerService/Work", response_deserializer=pb.WorkResponse.FromString
    )
    return HandStream(call())


@pytest.mark.parametrize("garbage", [b"\xff" * 100, b"\x0a\xff", b"\x0a\x03\x0a\x01\xff"])
async def test_garbage_ends_the_stream(
    bystander: HandStream, channel: aio.Channel, garbage: bytes
) -> None:
    async def sent(*frames: bytes) -> Refusal:
        stream = _raw(channel)
        for frame in frames:
            await write(stream.call, frame)
        if len(frames) > 1:
            await stream.frame("subscribed")
        return await stream.refusal()

    assert (await sent(garbage)).what == _VIOLATION
    opening = pb.WorkRequest(subscribe=subscribe()).SerializeToString()
    refusal = await sent(opening, garbage)
    assert refusal.what == _VIOLATION
    assert "cannot be decoded" in refusal.message


async def test_leases_of_a_stream_that_broke_the_protocol_run_on(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        await stream.send()
        assert (await stream.refusal()).what == _VIOLATION
    async with work(channel, held_lease_ids=[lease.lease_id]) as stream:
        assert await stream.report(success(lease)) == [OK]
