"""What processors, their types, their logging and their tracer may do to a worker: nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.rpc import code_pb2

from jobsvc.worker import Fail, Processor, Release, processor
from jobsvc.worker.loop_watch import LoopWatch
from jobsvc.worker.runner import Runner
from jobsvc.worker.work_protocol import WorkProtocol
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import streaming

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


@pytest.fixture
def broken_log() -> Iterator[None]:
    """A filter of the developer's that fails at every line of the worker."""

    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("no line today")

    logger = logging.getLogger("jobsvc.worker")
    logger.addFilter(fail)
    yield
    logger.removeFilter(fail)


async def give_up(value: dict[str, Any]) -> None:
    raise Fail("no")


def give_up_in_thread(value: dict[str, Any]) -> None:
    raise ValueError("no")


@pytest.mark.parametrize("function", [give_up, give_up_in_thread])
@pytest.mark.usefixtures("broken_log")
async def test_log_that_fails_costs_no_outcome(server: ScriptedServer, function: Any) -> None:
    async with streaming(server, Processor(function, "q")) as stream:
        await stream.dispatch(lease("a"))
        (outcome,) = await stream.outcomes(1)
    assert outcome.failure.error.message == "no"


@dataclass
class Leaver:
    """A type whose reading ends the process."""

    def __post_init__(self) -> None:
        raise SystemExit(3)


async def take(value: Leaver) -> None: ...


def take_in_thread(value: Leaver) -> None: ...


@pytest.mark.parametrize("function", [take, take_in_thread])
async def test_input_type_that_raises_anything_rejects_the_input(
    server: ScriptedServer, function: Any
) -> None:
    async with streaming(server, Processor(function, "q")) as stream:
        await stream.dispatch(lease("a"))
        (outcome,) = await stream.outcomes(1)
    assert outcome.failure.error.code == code_pb2.INVALID_ARGUMENT
    assert outcome.failure.error.reason == "INPUT_REJECTED"


async def test_release_without_a_delay_is_delayed_and_shown(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    @processor("q")
    async def release(value: dict[str, Any]) -> None:
        raise Release(delay=value.get("delay", 0), reason=value.get("reason", ""))

    async with streaming(server, release) as stream:
        await stream.dispatch(lease("a"))
        (first,) = await stream.outcomes(1)
        await stream.dispatch(lease("b", text='{"delay":90,"reason":"full"}'))
        (second,) = await stream.outcomes(1)
    assert first.release.delay.seconds == 1
    assert second.release.delay.seconds == 90, "a delay of its own counts"
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert lines == [
        "job job-a of q, attempt 1: released: no reason given (release 1 in a row, back in 1 s)",
        "job job-b of q, attempt 1: released: full (release 2 in a row, back in 90 s)",
    ]


def test_time_in_which_the_process_stood_still_is_not_held_against_the_loop() -> None:
    loop = asyncio.new_event_loop()
    runner = Runner({}, loop, asyncio.TaskGroup(), 1, None, lambda _: None, lambda _: None)
    protocol = WorkProtocol(runner, {}, 1, 7, lambda _: None)
    watch = LoopWatch(loop, protocol, blocked_seconds=3.0)
    for now in (0.0, 3600.0, 3600.5):
        assert watch.look(now) is None
        assert protocol.window == 7
    assert watch.look(3601.0) is None
    assert protocol.window == 0
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert watch.look(3601.5) is None
    assert protocol.window == 7
    for now in (3602.0, 3603.0, 3604.0):
        assert watch.look(now) is None
    assert watch.look(3604.5) == "the event loop has not answered for 3 s; on it run no job"
    loop.close()
