"""A worker that leaves, waits for a server, or runs processors that try to exit."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.rpc import code_pb2

from jobsvc.v1.worker_service_pb2 import Retire
from jobsvc.worker import Processor, Worker, processor
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import echo, streaming, working

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


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


async def test_worker_that_an_operator_drains_finishes_its_jobs_and_leaves(
    server: ScriptedServer,
) -> None:
    go_on = asyncio.Event()

    @processor("q")
    async def hold(value: dict[str, Any]) -> None:
        await go_on.wait()

    # The grace of a signal is not that of an operator.
    async with working(server, hold, grace_seconds=0.0) as worker:
        stream = await server.next_stream()
        await stream.dispatch(lease("a"))
        await stream.frame("acknowledge")
        await stream.send(retire=Retire(reason="host\ngoes away"))
        assert (await stream.frame("set_window")).window == 0
        go_on.set()
        (outcome,) = await stream.outcomes(1)
        assert outcome.WhichOneof("result") == "success"
        await stream.see_off()
        await worker.wait_left()


async def test_job_that_arrives_while_the_worker_leaves_goes_back_at_once(
    server: ScriptedServer,
) -> None:
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
        await stream.dispatch(lease("b"))
        (outcome,) = await stream.outcomes(1)
        assert (outcome.lease_id, outcome.WhichOneof("result")) == ("b", "release")
        go_on.set()
        await stream.outcomes(1)
        await stream.see_off()


async def test_wish_to_leave_before_it_has_begun_is_kept(server: ScriptedServer) -> None:
    leaver = Worker([Processor(echo, "q")], target=server.target)
    leaver.leave()  # as a signal may say while the process starts
    async with asyncio.timeout(40), leaver:
        await leaver.wait_left()


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
    caplog.set_level(logging.WARNING, "jobsvc.worker")
    logging.getLogger("jobsvc.worker").addHandler(handler := Complaints())
    async with Worker([echo], target=target) as worker:
        await refused.wait()
        logging.getLogger("jobsvc.worker").removeHandler(handler)
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
    # All end together, so that their outcomes do not fit into one frame.
    together = asyncio.Barrier(40)

    @processor("q")
    async def large(value: dict[str, Any]) -> dict[str, Any]:
        await together.wait()
        return {"x": "x" * 200_000}

    async with streaming(server, large, concurrency=40) as stream:
        await stream.dispatch(*[lease(f"l{i}") for i in range(40)])
        seen: set[str] = set()
        while len(seen) < 40:
            frame = await stream.frame("report_outcomes")
            assert frame.ByteSize() < 4 * 1024 * 1024
            seen |= {o.lease_id for o in frame.outcomes}
        await stream.answer(dict.fromkeys(seen, 0))
