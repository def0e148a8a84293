"""ExternalScaler, as KEDA calls it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from jobsvc.v1 import externalscaler_pb2 as pb
from jobsvc.v1.externalscaler_pb2_grpc import ExternalScalerStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.database_link import DatabaseLink
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.worker import lease_one, report, success
from tests.api.support.worker_stream import work
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.fixture
def scaler(channel: aio.Channel) -> ExternalScalerStub:
    return ExternalScalerStub(channel)


def trigger(queue: str = "q", **metadata: str) -> pb.ScaledObjectRef:
    """A trigger as KEDA sends it, with keys of its own."""
    return pb.ScaledObjectRef(
        name="workers",
        namespace="default",
        scaler_metadata={"queue": queue, "scalerAddress": "jobsvc:50051", **metadata},
    )


async def value(scaler: ExternalScalerStub, ref: pb.ScaledObjectRef) -> float:
    """The value of the one metric, and that it has the name that it was announced with."""
    (spec,) = (await scaler.GetMetricSpec(ref)).metric_specs
    request = pb.GetMetricsRequest(scaled_object_ref=ref, metric_name=spec.metric_name)
    (metric,) = (await scaler.GetMetrics(request)).metric_values
    assert metric.metric_name == spec.metric_name
    return metric.metric_value_float


async def active(scaler: ExternalScalerStub, ref: pb.ScaledObjectRef) -> bool:
    return (await scaler.IsActive(ref)).result


async def test_jobs_that_are_ready_or_running_count_and_those_that_are_not_due_do_not(
    create: Create, scaler: ExternalScalerStub, workers: WorkerServiceStub
) -> None:
    await create(schedule_time={"seconds": 4_000_000_000})
    assert (await value(scaler, trigger()), await active(scaler, trigger())) == (0, False)
    await create()
    await eventually(lambda: value(scaler, trigger()), lambda told: told == 1)
    lease = await lease_one(workers)
    await create()
    # It runs; its worker alone is worth a target.
    await eventually(lambda: value(scaler, trigger(targetValue="1")), lambda told: told == 2)
    assert await active(scaler, trigger())
    last = await lease_one(workers)
    await report(workers, success(lease), success(last))
    await eventually(lambda: active(scaler, trigger()), lambda told: not told)


async def test_metric_has_the_target_that_was_asked_for(
    queue: str, scaler: ExternalScalerStub
) -> None:
    async def spec(**metadata: str) -> pb.MetricSpec:
        (found,) = (await scaler.GetMetricSpec(trigger(**metadata))).metric_specs
        return found

    def expected(by: str, size: float, whole: int) -> pb.MetricSpec:
        return pb.MetricSpec(
            metric_name=f"jobsvc-{by}-q", target_size=whole, target_size_float=size
        )

    assert await spec() == expected("depth", 8, 8)
    assert await spec(by="depth", targetValue="4") == expected("depth", 4, 4)
    assert await spec(by="age") == expected("age", 30, 30)
    assert await spec(by="window") == expected("window", 1, 1)
    assert await spec(by="window", targetValue="0.8") == expected("window", 0.8, 1)


async def test_by_age_the_wait_of_the_oldest_counts_for_each_worker(
    create: Create, scaler: ExternalScalerStub, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    for _ in range(100):
        await create()
    await sql.execute("UPDATE waiting SET run_at = run_at - interval '90 seconds'")
    by_age = trigger(by="age", targetValue="60")
    assert await value(scaler, by_age) == pytest.approx(90, abs=30)
    async with work(channel, window=0, worker_id="w1"), work(channel, window=0, worker_id="w2"):
        told = await eventually(lambda: value(scaler, by_age), lambda told: told > 150)
        assert told == pytest.approx(180, abs=60)


async def test_by_window_a_worker_is_for_as_many_jobs_as_it_takes(
    create: Create, scaler: ExternalScalerStub, channel: aio.Channel
) -> None:
    by_window = trigger(by="window")
    for _ in range(12):
        await create()
    assert await value(scaler, by_window) == 1, "the first worker shows its window"
    async with work(channel, window=4) as stream:
        assert len(await stream.dispatched()) == 4
        # 12 jobs, 4 at a time: as seen by presence, which is saved now and then.
        await eventually(lambda: value(scaler, by_window), lambda told: told == 3)


async def test_paused_queue_needs_no_worker(
    create: Create, scaler: ExternalScalerStub, sql: asyncpg.Connection
) -> None:
    await create()
    assert await active(scaler, trigger())
    await sql.execute("UPDATE queue SET paused = true")
    await eventually(lambda: active(scaler, trigger()), lambda told: not told)
    assert await value(scaler, trigger()) == 0


async def test_few_jobs_wait_where_the_trigger_says_so(
    create: Create, scaler: ExternalScalerStub
) -> None:
    few = trigger(activationValue="1")
    await create()
    assert not await active(scaler, few)
    await create()
    await eventually(lambda: active(scaler, few))


@pytest.mark.parametrize(
    ("metadata", "field", "says"),
    [
        ({"queue": ""}, "queue", "must be 1 to 63"),
        ({"queue": "Q"}, "queue", "must be 1 to 63"),
        ({"by": "length"}, "by", "must be one of depth, age, window"),
        ({"targetValue": "0"}, "targetValue", "between 0.001"),
        ({"targetValue": "ten"}, "targetValue", "must be a number"),
        ({"targetValue": "nan"}, "targetValue", "must be a number"),
        ({"targetValue": "inf"}, "targetValue", "must be a number"),
        ({"activationValue": "-1"}, "activationValue", "must be a number"),
        ({"target_value": "5"}, "target_value", "write targetValue"),
        ({"targetvalue": "5"}, "targetvalue", "write targetValue"),
        ({"By": "age"}, "By", "write by"),
    ],
)
async def test_wrong_metadata_is_named(
    queue: str, scaler: ExternalScalerStub, metadata: dict[str, str], field: str, says: str
) -> None:
    ref = trigger(**({"queue": "q"} | metadata))
    for refusal, start in (
        (await refused(scaler.IsActive(ref)), ""),
        (await refused(scaler.GetMetricSpec(ref)), ""),
        (await refused(scaler.StreamIsActive(ref).read()), ""),
        (
            await refused(scaler.GetMetrics(pb.GetMetricsRequest(scaled_object_ref=ref))),
            "scaled_object_ref.",
        ),
    ):
        assert refusal.what == _INVALID
        (violation,) = refusal.details["BadRequest"].field_violations
        assert violation.field == f"{start}scaler_metadata['{field}']"
        assert says in violation.description


async def test_unknown_queue_is_an_error_and_no_zero(
    queue: str, scaler: ExternalScalerStub
) -> None:
    ref = trigger("unknown")
    missing = (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert (await refused(scaler.IsActive(ref))).what == missing
    assert (await refused(scaler.StreamIsActive(ref).read())).what == missing
    request = pb.GetMetricsRequest(scaled_object_ref=ref)
    assert (await refused(scaler.GetMetrics(request))).what == missing


async def test_stream_tells_each_change(
    create: Create, scaler: ExternalScalerStub, workers: WorkerServiceStub
) -> None:
    await create(schedule_time={"seconds": 4_000_000_000})
    stream = scaler.StreamIsActive(trigger())
    assert await stream.read() == pb.IsActiveResponse(result=False)
    await create()
    assert await _next_other(stream, False)
    await report(workers, success(await lease_one(workers)))
    assert not await _next_other(stream, True)
    stream.cancel()


async def _next_other(stream: Any, told: bool) -> bool:
    """The next message that says something else; the same may come again meanwhile."""
    async with asyncio.timeout(40):
        while (message := await stream.read()).result == told:
            pass
    return bool(message.result)


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, heartbeat_interval_seconds=1.0)])
async def test_stream_says_the_same_again(create: Create, scaler: ExternalScalerStub) -> None:
    await create()
    stream = scaler.StreamIsActive(trigger())
    async with asyncio.timeout(40):
        assert [(await stream.read()).result for _ in range(3)] == [True] * 3
    stream.cancel()


async def test_stream_ends_with_ok_when_the_server_drains(
    queue: str, scaler: ExternalScalerStub, server: Replica
) -> None:
    streams = [scaler.StreamIsActive(trigger(by=by)) for by in ("depth", "age", "window")]
    for stream in streams:
        await stream.read()
    draining = asyncio.create_task(server.drain())
    for stream in streams:
        assert await stream.read() is aio.EOF
        assert await stream.code() is grpc.StatusCode.OK
    await asyncio.wait_for(draining, 10)


async def test_server_that_drains_still_answers_and_keeps_no_stream(
    create: Create, scaler: ExternalScalerStub, server: Replica, channel: aio.Channel
) -> None:
    await create()
    async with work(channel) as stream:
        # It keeps the drain waiting.
        await stream.dispatched()
        draining = asyncio.create_task(server.drain())
        await stream.frame("drain")
        assert await active(scaler, trigger())
        assert await value(scaler, trigger(targetValue="1")) == 1
        for _ in range(3):
            late = scaler.StreamIsActive(trigger())
            assert await late.read() == pb.IsActiveResponse(result=True)
            assert await late.read() is aio.EOF
            assert await late.code() is grpc.StatusCode.OK
        assert not draining.done()
    await asyncio.wait_for(draining, 10)


async def test_stream_ends_when_its_queue_is_removed(
    declare: Callable[..., Awaitable[Any]],
    scaler: ExternalScalerStub,
    sql: asyncpg.Connection,
) -> None:
    await declare("short-lived")
    stream = scaler.StreamIsActive(trigger("short-lived"))
    await stream.read()
    await sql.execute("DELETE FROM queue WHERE name = 'short-lived'")
    ended = await refused(stream.read())
    assert ended.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")


async def test_metric_of_newer_versions_is_unimplemented(channel: aio.Channel) -> None:
    """KEDA then asks by GetMetricSpec."""
    call = channel.unary_stream("/externalscaler.ExternalScaler/StreamMetricSpec")
    refusal = await refused(call(trigger().SerializeToString()).read())
    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED


async def test_database_that_is_away_is_an_error_and_no_zero_and_streams_go_on(
    link: DatabaseLink, settings: Settings, create: Create, workers: WorkerServiceStub
) -> None:
    await create()
    async with (
        replica(link.dsn, settings) as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
    ):
        scaler = ExternalScalerStub(channel)
        stream = scaler.StreamIsActive(trigger())
        assert (await stream.read()).result
        await link.cut()
        request = pb.GetMetricsRequest(scaled_object_ref=trigger())
        away = (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")

        async def unknown() -> bool:
            """Whether it says that it does not know: for a second it still does."""
            try:
                (metric,) = (await scaler.GetMetrics(request)).metric_values
            except aio.AioRpcError:
                return (await refused(scaler.GetMetrics(request))).what == away
            assert metric.metric_value_float == 1
            return False

        await eventually(unknown)
        assert (await refused(scaler.IsActive(trigger()))).what == away
        # By the other replica, whose database is there.
        await report(workers, success(await lease_one(workers)))
        await link.mend()
        assert not await _next_other(stream, True)
