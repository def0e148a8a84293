"""A worker against a server whose every frame the test decides: jobs come, run and end."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.worker import Context, Processor, processor
from tests.support.probe import eventually
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import echo, echo_in_thread, streaming, working

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


async def test_subscribe_names_worker_queues_and_window(server: ScriptedServer) -> None:
    limited = Processor(echo.function, "q", max_leases=3)
    async with streaming(server, limited, concurrency=5, window=7, version="v1") as stream:
        subscribe = stream.subscribe
        assert subscribe.worker.version == "v1"
        assert subscribe.worker.sdk.startswith("jobsvc-python/")
        assert 1 <= len(subscribe.worker.worker_id) <= 128
        assert [(q.queue, q.max_leases) for q in subscribe.queues] == [("q", 3)]
        assert subscribe.window == 7
        assert subscribe.payload_encoding == 2


@pytest.mark.parametrize("processor_", [echo, echo_in_thread], ids=["async", "thread"])
async def test_dispatch_is_acknowledged_run_and_reported(
    server: ScriptedServer, processor_: Processor[..., object]
) -> None:
    async with streaming(server, processor_, concurrency=20) as stream:
        await stream.dispatch(*[lease(f"l{i}", text=f'{{"i":{i}}}') for i in range(20)])
        assert (await stream.frame("acknowledge")).sequence == 2
        outcomes = await stream.outcomes(20)
    assert {o.lease_id: o.success.output.json_text for o in outcomes} == {
        f"l{i}": f'{{"i":{i}}}' for i in range(20)
    }


async def test_job_delivered_twice_runs_once(server: ScriptedServer) -> None:
    ran = []
    release = asyncio.Event()

    @processor("q")
    async def count(value: dict[str, Any]) -> None:
        ran.append(value)
        await release.wait()

    async with streaming(server, count) as stream:
        await stream.dispatch(lease("l1"), lease("l1"))
        await eventually(lambda: ran)
        # Frames are read in their order, so that the first is known when the last one runs.
        await stream.dispatch(lease("l1"))
        await stream.dispatch(lease("l2"))
        await eventually(lambda: len(ran) >= 2)
        release.set()
        await stream.outcomes(2)
    assert len(ran) == 2


async def test_everything_held_is_extended_also_what_waits(server: ScriptedServer) -> None:
    release = asyncio.Event()

    @processor("q")
    async def wait(value: dict[str, Any]) -> None:
        await release.wait()

    async with working(server, wait, concurrency=1, window=3) as worker:
        stream = await server.next_stream(extend_seconds=0.05, max_batch_items=2)
        await stream.dispatch(lease("a"), lease("b"), lease("c"))
        seen: set[str] = set()
        while seen != {"a", "b", "c"}:
            extend = await stream.frame("extend_leases")
            assert len(extend.extensions) <= 2
            seen |= {e.lease_id for e in extend.extensions}
        release.set()
        await stream.outcomes(3)
        worker.leave()
        await stream.see_off()


async def test_short_leases_are_extended_in_time(server: ScriptedServer) -> None:
    @processor("q")
    async def forever(value: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async with streaming(server, forever) as stream:
        await stream.send(
            dispatch={"leases": [lease("a")], "expires_in": Duration(nanos=300_000_000)}
        )
        await stream.frame("extend_leases")


async def test_progress_leaves_at_once_and_the_latest_wins(server: ScriptedServer) -> None:
    go_on = asyncio.Event()

    @processor("q")
    async def report(value: dict[str, Any], context: Context) -> None:
        context.progress(1, "first")
        await go_on.wait()
        for percent in range(2, 50):
            context.progress(percent, "later")
        await asyncio.Event().wait()

    async with streaming(server, report) as stream:
        await stream.dispatch(lease("a"))
        first = await stream.frame("extend_leases")
        assert (first.extensions[0].progress.percent, first.extensions[0].lease_id) == (1, "a")
        go_on.set()
        later = await stream.frame("extend_leases")
        assert later.extensions[0].progress.percent == 49
        assert len(later.extensions) == 1


async def test_cancel_request_stops_a_task_and_is_reported(server: ScriptedServer) -> None:
    started = asyncio.Event()

    @processor("q")
    async def forever(value: dict[str, Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    async with streaming(server, forever) as stream:
        await stream.dispatch(lease("a"))
        await started.wait()
        await stream.tell("a", "CANCEL_REQUESTED")
        (outcome,) = await stream.outcomes(1)
    assert outcome.WhichOneof("result") == "cancelled"


async def test_cancel_request_shows_in_a_thread(server: ScriptedServer) -> None:
    @processor("q")
    def forever(value: dict[str, Any], context: Context) -> None:
        asyncio.run(context.wait_cancelled())
        context.raise_if_cancelled()

    async with streaming(server, forever) as stream:
        await stream.dispatch(lease("a"))
        await stream.frame("acknowledge")
        await stream.tell("a", "CANCEL_REQUESTED")
        (outcome,) = await stream.outcomes(1)
    assert outcome.WhichOneof("result") == "cancelled"


async def test_cancel_of_a_waiting_job_is_reported_without_running_it(
    server: ScriptedServer,
) -> None:
    ran = []

    @processor("q")
    async def forever(value: dict[str, Any], context: Context) -> None:
        ran.append(context.job_id)
        await asyncio.Event().wait()

    async with streaming(server, forever, concurrency=1, window=2) as stream:
        await stream.dispatch(lease("a"), lease("b"))
        await stream.frame("acknowledge")
        await stream.tell("b", "CANCEL_REQUESTED")
        (outcome,) = await stream.outcomes(1)
    assert (outcome.lease_id, outcome.WhichOneof("result")) == ("b", "cancelled")
    assert "job-b" not in ran


async def test_late_outcome_of_a_lost_lease_is_dropped(server: ScriptedServer) -> None:
    begun, go_on, cancelled = threading.Event(), threading.Event(), threading.Event()

    @processor("q")
    def stubborn(value: dict[str, Any], context: Context) -> None:
        if context.job_id == "job-a":
            begun.set()
            asyncio.run(context.wait_cancelled())
            cancelled.set()
            go_on.wait(10)

    async with streaming(server, stubborn, concurrency=1) as stream:
        await stream.dispatch(lease("a"))
        await stream.frame("acknowledge")
        assert await asyncio.to_thread(begun.wait, 10)
        await stream.tell("a", "LOST")
        assert await asyncio.to_thread(cancelled.wait, 10)
        # The only thread does not return; another one replaces it.
        await stream.dispatch(lease("b"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.lease_id == "b"
        go_on.set()
        await stream.dispatch(lease("c"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.lease_id == "c"


async def test_attempt_timeout_is_enforced_in_task_and_thread(server: ScriptedServer) -> None:
    go_on = threading.Event()
    unwound = asyncio.Event()

    @processor("q")
    async def forever(value: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            unwound.set()

    @processor("r")
    def hang(value: dict[str, Any]) -> None:
        go_on.wait(10)

    @processor("s")
    def fine(value: dict[str, Any]) -> None:
        pass

    short = Duration(nanos=100_000_000)
    async with streaming(server, forever, hang, fine, concurrency=2) as stream:
        await stream.dispatch(
            lease("a", attempt_timeout=short), lease("b", queue="r", attempt_timeout=short)
        )
        outcomes = await stream.outcomes(2)
        for outcome in outcomes:
            assert outcome.failure.error.code == code_pb2.DEADLINE_EXCEEDED
            assert outcome.failure.error.reason == "ATTEMPT_TIMEOUT"
        await unwound.wait()
        await stream.dispatch(lease("c", queue="s"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.HasField("success")
        go_on.set()
