"""A worker against a server whose every frame the test decides."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.v1.worker_service_pb2 import Drain
from workers import Context, Processor, Worker, WorkerStopped, processor

from .scripted_server import ScriptedServer, ScriptedStream, lease, scripted_server

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


@asynccontextmanager
async def working(
    server: ScriptedServer, *processors: Processor[..., object], **options: Any
) -> AsyncIterator[Worker]:
    options.setdefault("grace_seconds", 0.0)
    async with Worker(processors, target=server.target, **options) as worker:
        yield worker


@asynccontextmanager
async def streaming(
    server: ScriptedServer, *processors: Processor[..., object], **options: Any
) -> AsyncIterator[ScriptedStream]:
    """A subscribed worker's stream; the server confirms the end when the block is over."""
    async with working(server, *processors, **options) as worker:
        stream = await server.next_stream()
        yield stream
        worker.leave(0.0)
        await stream.see_off()


@processor("q")
async def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@processor("q")
def echo_in_thread(value: dict[str, Any]) -> dict[str, Any]:
    return value


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

    @processor("q")
    async def count(value: dict[str, Any]) -> None:
        ran.append(value)
        await asyncio.sleep(0)

    async with streaming(server, count) as stream:
        await stream.dispatch(lease("l1"), lease("l1"))
        await stream.outcomes(1)
    assert len(ran) == 1


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
    go_on, cancelled = threading.Event(), threading.Event()

    @processor("q")
    def stubborn(value: dict[str, Any], context: Context) -> None:
        if context.job_id == "job-a":
            asyncio.run(context.wait_cancelled())
            cancelled.set()
            go_on.wait(10)

    async with streaming(server, stubborn, concurrency=1) as stream:
        await stream.dispatch(lease("a"))
        await stream.frame("acknowledge")
        await stream.tell("a", "LOST")
        await asyncio.to_thread(cancelled.wait, 10)
        # Its only thread does not come back; another one takes over.
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


async def test_outcome_is_sent_again_until_it_is_confirmed(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        stream = await server.next_stream()
        await stream.dispatch(lease("a", text='{"x":1}'))
        await stream.outcomes(1, confirm=False)
        await stream.answer({"a": code_pb2.UNAVAILABLE})
        await stream.outcomes(1, confirm=False)
        await stream.finish(grpc.StatusCode.UNAVAILABLE, "gone")

        again = await server.next_stream(held={"a": "LOST"})
        assert again.subscribe.worker.worker_id == worker.id == stream.subscribe.worker.worker_id
        assert list(again.subscribe.held_lease_ids) == ["a"]
        (outcome,) = await again.outcomes(1)
        assert outcome.success.output.json_text == '{"x":1}'
        worker.leave()
        await again.see_off()


async def test_malformed_outcome_becomes_a_permanent_failure_once(server: ScriptedServer) -> None:
    async with streaming(server, echo) as stream:
        await stream.dispatch(lease("a"))
        await stream.outcomes(1, confirm=False)
        await stream.answer({"a": code_pb2.INVALID_ARGUMENT}, "no NUL, please")
        (outcome,) = await stream.outcomes(1, confirm=False)
        assert outcome.failure.retryable is False
        assert outcome.failure.error.message == "no NUL, please"
        await stream.answer({"a": code_pb2.INVALID_ARGUMENT}, "still bad")
        await stream.dispatch(lease("b"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.lease_id == "b"


async def test_broken_stream_is_opened_again_with_what_is_held(server: ScriptedServer) -> None:
    lost, kept = asyncio.Event(), asyncio.Event()

    @processor("q")
    async def hold(value: dict[str, Any], context: Context) -> None:
        if context.job_id == "job-a":
            try:
                await asyncio.Event().wait()
            finally:
                lost.set()
        await kept.wait()

    async with working(server, hold) as worker:
        first = await server.next_stream()
        await first.dispatch(lease("a"), lease("b"))
        await first.frame("acknowledge")
        await first.finish(grpc.StatusCode.UNAVAILABLE, "restart")
        second = await server.next_stream(held={"a": "LOST", "b": "HELD"})
        assert set(second.subscribe.held_lease_ids) == {"a", "b"}
        await lost.wait()
        extend = await second.frame("extend_leases")
        assert [e.lease_id for e in extend.extensions] == ["b"]
        kept.set()
        (outcome,) = await second.outcomes(1)
        assert outcome.lease_id == "b"
        worker.leave()
        await second.see_off()


async def test_silent_server_is_given_up(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        await server.next_stream(heartbeat_seconds=0.1)
        second = await server.next_stream()
        worker.leave()
        await second.see_off()


async def test_heartbeats_keep_a_stream(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        stream = await server.next_stream(heartbeat_seconds=0.2)
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            await stream.send(heartbeat={})
            await asyncio.sleep(0.1)
        assert not stream.closed.is_set()
        worker.leave()
        await stream.see_off()


async def test_drain_moves_the_worker_and_loses_nothing(server: ScriptedServer) -> None:
    go_on = asyncio.Event()

    @processor("q")
    async def hold(value: dict[str, Any]) -> None:
        await go_on.wait()

    async with working(server, hold) as worker:
        old = await server.next_stream()
        await old.dispatch(lease("a"))
        await old.frame("acknowledge")
        await old.send(drain=Drain(reason="deploy"))
        new = await server.next_stream(accept=False)
        # Not accepted yet: the old stream still serves.
        go_on.set()
        (outcome,) = await old.outcomes(1, confirm=False)
        assert list(new.subscribe.held_lease_ids) == ["a"]
        await new.accept(held={"a": "HELD"})
        await old.closed.wait()
        (again,) = await new.outcomes(1)
        assert again == outcome
        await old.finish()
        await new.dispatch(lease("b"))
        await new.outcomes(1)
        worker.leave()
        await new.see_off()


async def test_unknown_frames_are_ignored(server: ScriptedServer) -> None:
    async with streaming(server, echo) as stream:
        await stream.send()
        await stream.dispatch(lease("a"))
        await stream.outcomes(1)


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
async def test_refusal_ends_the_worker(server: ScriptedServer, code: grpc.StatusCode) -> None:
    async def work() -> None:
        async with working(server, echo):
            stream = await server.next_stream(accept=code is grpc.StatusCode.ABORTED)
            await stream.finish(code, "because")
            await asyncio.Event().wait()

    with pytest.raises(WorkerStopped, match="because"):
        await work()


async def test_declares_what_the_processor_says(server: ScriptedServer) -> None:
    server.declare_codes = [grpc.StatusCode.UNAVAILABLE]
    async with streaming(server, Processor(echo.function, "q", attempt_timeout=60)):
        declared = server.declared["q"]
    assert declared.allow_missing
    assert set(declared.update_mask.paths) == {"input_schema", "output_schema", "attempt_timeout"}
    assert declared.queue.attempt_timeout.seconds == 60


async def test_goes_on_where_it_may_not_declare(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.declare_codes = [grpc.StatusCode.PERMISSION_DENIED]
    async with streaming(server, echo):
        pass
    assert "queue q is not declared" in caplog.text


async def test_leaving_lets_jobs_end_and_confirms_them(server: ScriptedServer) -> None:
    go_on = asyncio.Event()

    @processor("q")
    async def hold(value: dict[str, Any]) -> None:
        await go_on.wait()

    async with working(server, hold, grace_seconds=10.0) as worker:
        stream = await server.next_stream()
        await stream.dispatch(lease("a"))
        await stream.frame("acknowledge")
        worker.leave()
        assert (await stream.frame("set_window")).window == 0
        go_on.set()
        await stream.outcomes(1)
        await stream.see_off()
        await worker.wait_left()


async def test_leaving_hands_back_what_does_not_end(server: ScriptedServer) -> None:
    unwound = asyncio.Event()

    @processor("q")
    async def forever(value: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            unwound.set()

    async with working(server, forever, concurrency=1, window=2, grace_seconds=0.1) as worker:
        stream = await server.next_stream()
        await stream.dispatch(lease("a"), lease("b"))
        await stream.frame("acknowledge")
        worker.leave()
        outcomes = await stream.outcomes(2)
        assert {o.lease_id for o in outcomes} == {"a", "b"}
        assert all(o.WhichOneof("result") == "release" for o in outcomes)
        await stream.see_off()
    assert unwound.is_set()


async def test_failing_block_hands_everything_back(server: ScriptedServer) -> None:
    started = asyncio.Event()

    @processor("q")
    async def forever(value: dict[str, Any]) -> None:
        started.set()
        await asyncio.Event().wait()

    async def watch_over() -> str:
        stream = await server.next_stream()
        await stream.dispatch(lease("a"))
        (outcome,) = await stream.outcomes(1)
        await stream.see_off()
        return str(outcome.WhichOneof("result"))

    async def work() -> None:
        async with working(server, forever, grace_seconds=10.0):
            await started.wait()
            raise LookupError

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_over())
        with pytest.raises(LookupError):
            await work()
    assert watching.result() == "release"


async def test_waits_for_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    loop, refused = asyncio.get_running_loop(), asyncio.Event()

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "is not available" in record.getMessage():
                loop.call_soon_threadsafe(refused.set)

    async with scripted_server() as gone:
        target = gone.target
    caplog.set_level(logging.WARNING, "workers")
    logging.getLogger("workers").addHandler(handler := Complaints())
    async with Worker([echo], target=target) as worker:
        await refused.wait()
        logging.getLogger("workers").removeHandler(handler)
        async with scripted_server(target) as server:
            stream = await server.next_stream()
            await worker.wait_subscribed()
            worker.leave()
            await stream.see_off()
            await worker.wait_left()


@pytest.mark.parametrize("exit_", [SystemExit(3), KeyboardInterrupt(), BaseException("odd")])
@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_exit_in_a_processor_costs_one_attempt(
    server: ScriptedServer, exit_: BaseException, kind: str
) -> None:
    def leave(value: dict[str, Any]) -> dict[str, Any]:
        if value:
            raise exit_
        return value

    async def leave_async(value: dict[str, Any]) -> dict[str, Any]:
        return leave(value)

    function: Any = leave_async if kind == "async" else leave
    async with streaming(server, Processor(function, "q")) as stream:
        await stream.dispatch(lease("a", text='{"x":1}'))
        (outcome,) = await stream.outcomes(1)
        assert outcome.failure.error.code == code_pb2.UNKNOWN
        assert not outcome.failure.HasField("retryable")
        await stream.dispatch(lease("b"))
        (outcome,) = await stream.outcomes(1)
        assert outcome.HasField("success")


async def test_large_outcomes_are_spread_over_frames(server: ScriptedServer) -> None:
    @processor("q")
    async def large(value: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"x": "x" * 200_000}

    async with streaming(server, large, concurrency=40) as stream:
        await stream.dispatch(*[lease(f"l{i}") for i in range(40)])
        seen: set[str] = set()
        while len(seen) < 40:
            frame = await stream.frame("report_outcomes")
            assert frame.ByteSize() < 4 * 1024 * 1024
            seen |= {o.lease_id for o in frame.outcomes}
        await stream.answer(dict.fromkeys(seen, 0))
