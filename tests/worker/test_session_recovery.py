"""A worker whose outcomes, streams and servers are lost, refused or replaced."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from jobsvc.v1.worker_service_pb2 import Drain, ExtendLeasesResponse, ReportOutcomesResponse
from jobsvc.worker import Context, processor
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import echo, streaming, working

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


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


async def test_success_without_output_is_sent_by_id_until_it_is_confirmed(
    server: ScriptedServer,
) -> None:
    @processor("q")
    async def nothing(value: dict[str, Any]) -> None:
        return None

    async with working(server, nothing) as worker:
        stream = await server.next_stream(takes_ids=True)
        await stream.dispatch(lease("a"), lease("b"))
        reported: list[str] = []
        while len(reported) < 2:
            request = await stream.frame("report_outcomes")
            assert not request.outcomes
            reported += request.succeeded_lease_ids
        assert sorted(reported) == ["a", "b"]
        await stream.send(outcome_results=ReportOutcomesResponse(committed_lease_ids=["b"]))
        await stream.answer({"a": code_pb2.UNAVAILABLE})
        assert list((await stream.frame("report_outcomes")).succeeded_lease_ids) == ["a"]
        await stream.finish(grpc.StatusCode.UNAVAILABLE, "gone")

        # The next server is an older one.
        again = await server.next_stream(held={"a": "LOST"})
        assert list(again.subscribe.held_lease_ids) == ["a"]
        (outcome,) = await again.outcomes(1)
        assert outcome.WhichOneof("result") == "success"
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


async def test_token_is_presented_on_every_stream_to_come(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        first = await server.next_stream(resume_token="secret")
        assert first.subscribe.resume_token == ""
        await first.finish(grpc.StatusCode.UNAVAILABLE, "restart")
        second = await server.next_stream(accept=False)
        assert second.subscribe.resume_token == "secret"
        await second.finish(grpc.StatusCode.UNAVAILABLE, "restart")
        third = await server.next_stream(resume_token="secret")
        assert third.subscribe.resume_token == "secret"
        worker.leave()
        await third.see_off()


async def test_worker_id_in_use_is_said_once_and_tried_again(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(server, echo) as worker:
        times = []
        for _ in range(6):
            refused = await server.next_stream(accept=False)
            times.append(time.monotonic())
            await refused.finish(grpc.StatusCode.ALREADY_EXISTS, "worker_id w is in use")
        stream = await server.next_stream()
        worker.leave()
        await stream.see_off()
    (said,) = [r.getMessage() for r in caplog.records if "worker_id" in r.getMessage()]
    assert "another process" in said
    assert "make the Worker in the process that runs it" in said
    # Up to 0.05 + 0.1 + 0.2 + 0.4 + 0.8 s; hardly all draws are so small.
    assert times[-1] - times[0] > 0.05


@pytest.mark.parametrize("answer", ["none", "empty"])
async def test_server_that_does_not_extend_is_left_for_one_that_does(
    server: ScriptedServer, answer: str
) -> None:
    """A frozen one, or one without its database; until the other one answers, nothing changes."""
    go_on = asyncio.Event()

    @processor("q")
    async def hold(value: dict[str, Any]) -> None:
        await go_on.wait()

    async with working(server, hold) as worker:
        first = await server.next_stream(extend_seconds=0.2, resume_token="t")
        await first.dispatch(lease("a"))
        await first.frame("extend_leases")
        if answer == "empty":
            await first.send(lease_statuses=ExtendLeasesResponse())
        refusing = await server.next_stream(accept=False)
        # Meanwhile the first one is not left waiting for an acknowledgement.
        await first.dispatch(lease("b"))
        async with asyncio.timeout(40):
            await first.frame("acknowledge")
        await refusing.finish(grpc.StatusCode.UNAVAILABLE, "no database here, either")
        await first.frame("extend_leases")
        second = await server.next_stream(extend_seconds=0.2, held={"a": "HELD", "b": "HELD"})
        assert list(second.subscribe.held_lease_ids) == ["a", "b"]
        assert second.subscribe.resume_token == "t"
        await second.frame("extend_leases")
        await first.see_off()
        go_on.set()
        assert {outcome.lease_id for outcome in await second.outcomes(2)} == {"a", "b"}
        worker.leave()
        await second.see_off()


async def test_server_that_extends_is_kept(server: ScriptedServer) -> None:
    @processor("q")
    async def hold(value: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async with working(server, hold) as worker:
        stream = await server.next_stream(extend_seconds=2)
        await stream.dispatch(lease("a"))
        for _ in range(3):
            await stream.frame("extend_leases")
            await stream.tell("a", "HELD")
        assert not stream.closed.is_set()
        assert not server.has_streams
        worker.leave()
        await stream.see_off()


async def test_silent_server_is_given_up(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        await server.next_stream(heartbeat_seconds=0.1)
        second = await server.next_stream()
        worker.leave()
        await second.see_off()


async def test_heartbeats_keep_a_stream(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        stream = await server.next_stream(heartbeat_seconds=0.5)
        until = time.monotonic() + 2.0  # Three intervals of silence are too much.
        while time.monotonic() < until:
            await stream.send(heartbeat={})
            await asyncio.sleep(0.1)  # The server's own rhythm.
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
        # Not accepted yet: the old stream is still in use.
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
