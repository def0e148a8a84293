"""A worker whose streams break when much was sent on them."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from jobsvc.worker import Context, processor
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import working

pytestmark = pytest.mark.timeout(30)

LARGE = "x" * 240_000
#: As gRPC names the end that a proxy makes; it has no details of ours.
BROKEN = {"code": grpc.StatusCode.INTERNAL, "details": "Stream removed", "domain": ""}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


@processor("q")
async def write(value: dict[str, Any]) -> dict[str, Any]:
    return {"text": LARGE}


async def test_after_a_break_each_stream_carries_less_and_confirms_it_before_the_next(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(server, write) as worker:
        stream = await server.next_stream(resume_token="t")
        await stream.dispatch(*[lease(i) for i in "abcdefghij"])
        await stream.outcomes(10, confirm=False)
        await stream.finish(**BROKEN)  # type: ignore[arg-type]  # as it takes them
        left = set("abcdefghij")
        while left:
            stream = await server.next_stream(resume_token="t")
            assert stream.subscribe.resume_token == "t"
            assert set(stream.subscribe.held_lease_ids) == left
            count = min(len(left), 4)
            carried = {outcome.lease_id for outcome in await stream.outcomes(count, confirm=False)}
            left -= carried
            if left:
                # It says so, half-closes, and opens no other stream until this one is answered.
                assert (await stream.frame("set_window")).comes_back
                await stream.closed.wait()
                assert not server.has_streams
            await stream.answer(dict.fromkeys(carried, 0))
            if left:
                await stream.finish()
        worker.leave()
        await stream.see_off()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "1,000,000 bytes a stream: 2,40" in line


async def test_break_with_an_extension_on_its_way_makes_streams_smaller_too(
    server: ScriptedServer,
) -> None:
    @processor("q")
    async def hold_or_write(value: dict[str, Any], context: Context) -> dict[str, Any]:
        if "hold" in value:
            await context.wait_cancelled()
        return {"text": LARGE}

    async with working(server, hold_or_write) as worker:
        stream = await server.next_stream(extend_seconds=1.0)
        await stream.dispatch(lease("a"), lease("b", text='{"hold":1}'))
        await stream.outcomes(1)
        await stream.frame("extend_leases")
        await stream.finish(**BROKEN)  # type: ignore[arg-type]  # as it takes them
        stream = await server.next_stream()
        await stream.dispatch(lease("c"), lease("d"))
        assert len(await stream.outcomes(1)) == 1
        await stream.closed.wait()
        await stream.finish()
        stream = await server.next_stream()
        await stream.outcomes(1)
        worker.leave(0.0)
        await stream.see_off()


async def test_full_stream_that_is_not_answered_is_left(server: ScriptedServer) -> None:
    async with working(server, write) as worker:
        stream = await server.next_stream()
        await stream.dispatch(*[lease(i) for i in "abcdefgh"])
        await stream.outcomes(8, confirm=False)
        await stream.finish(**BROKEN)  # type: ignore[arg-type]  # as it takes them
        stream = await server.next_stream(extend_seconds=0.3)
        await stream.closed.wait()
        # Alive, and yet no answer.
        await stream.tell("a", "HELD")
        again = await server.next_stream()
        assert len(again.subscribe.held_lease_ids) == 8
        await stream.finish()
        await again.outcomes(4)
        await again.closed.wait()
        await again.finish()
        last = await server.next_stream()
        await last.outcomes(4)
        worker.leave()
        await last.see_off()


@pytest.mark.parametrize(
    ("domain", "confirm"), [("jobsvc", False), ("", True)], ids=["a word", "nothing under way"]
)
async def test_streams_carry_as_much_as_before_after_an_end_with(
    server: ScriptedServer, domain: str, confirm: bool
) -> None:
    async with working(server, write) as worker:
        stream = await server.next_stream()
        await stream.dispatch(*[lease(i) for i in "abcdefgh"])
        await stream.outcomes(8, confirm)
        await stream.finish(grpc.StatusCode.UNAVAILABLE, "going", domain=domain)
        stream = await server.next_stream()
        await stream.dispatch(*[lease(i) for i in "ijklmnop"])
        await stream.outcomes(8 if confirm else 16)
        worker.leave()
        await stream.see_off()
