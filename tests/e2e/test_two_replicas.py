"""Two servers on one database: the caller and its stream on one, the worker on the other."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.e2e.support.caller import Caller
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

PROMPT_SECONDS = 5.0
#: A job waits for a poll twice at most: to be dispatched, and for its status.
TWO_POLLS_SECONDS = 2 * 1.0
MARGIN_SECONDS = 3.0

_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'jobsvc-hints'"


async def _seconds_to_the_end(caller: Caller) -> float:
    began = time.monotonic()
    await caller.follow([await caller.create("nap")])
    return time.monotonic() - began


async def _followed_seconds(caller: Caller) -> float:
    """From the end of a run to its status on a stream that was open long before."""
    job_id = await caller.create("nap", {"seconds": 0.5})
    await caller.follow([job_id])
    return time.time() - caller.output(job_id)["done"]


async def test_job_and_status_cross_from_replica_to_replica_at_once(stage: Stage) -> None:
    # With a poll this slow only the hints can be in time.
    far, near = [await stage.serve(poll_interval_seconds=20) for _ in range(2)]
    await stage.work(far.target)
    async with stage.calls(near.target) as caller:
        for _ in range(5):
            assert await _seconds_to_the_end(caller) < PROMPT_SECONDS
            assert await _followed_seconds(caller) < PROMPT_SECONDS
        await stage.check(caller, caller.ended)


async def test_without_listening_everything_is_late_by_polls_and_not_lost(stage: Stage) -> None:
    far, near = [await stage.serve() for _ in range(2)]
    await stage.work(far.target)
    async with stage.calls(near.target) as caller:
        await _seconds_to_the_end(caller)
        async with _frozen_hints(stage.dsn):
            waits = [await _seconds_to_the_end(caller) for _ in range(3)]
        assert max(waits) < TWO_POLLS_SECONDS + MARGIN_SECONDS
        # The fault hit: with hints all three together take a tenth of that.
        assert max(waits) > 0.2, waits
        await stage.check(caller, caller.ended)


async def test_hint_connections_that_die_again_and_again_delay_by_polls_at_most(
    stage: Stage,
) -> None:
    far, near = [await stage.serve() for _ in range(2)]
    await stage.work(far.target)
    async with stage.calls(near.target) as caller, asyncio.TaskGroup() as tasks:
        killed: set[int] = set()

        async def kill() -> None:
            while True:
                rows = await fetch(
                    stage.dsn, f"SELECT pid, pg_terminate_backend(pid) FROM ({_BACKENDS}) x"
                )
                killed.update(row["pid"] for row in rows)
                await asyncio.sleep(0.05)  # the fault's own rhythm

        killer = tasks.create_task(kill())
        await eventually(lambda: len(killed) >= 4, what="terminated backends")
        before = len(killed)
        for _ in range(5):
            assert await _seconds_to_the_end(caller) < TWO_POLLS_SECONDS + MARGIN_SECONDS
        # They came back, and were killed, while the jobs ran.
        await eventually(lambda: len(killed) >= before + 4, what="backends that came back")
        killer.cancel()
        await stage.check(caller, caller.ended)
        # The servers recover: hints flow again.
        await eventually(lambda: _prompt(caller), seconds=10, what="promptness")


async def _prompt(caller: Caller) -> bool:
    return await _seconds_to_the_end(caller) < 0.2


@asynccontextmanager
async def _frozen_hints(dsn: str) -> AsyncIterator[None]:
    """Freezes the backends behind LISTEN and NOTIFY: the connections live, and carry nothing."""
    rows = await eventually(lambda: _backends(dsn), what="two connections of each server")
    pids = [row["pid"] for row in rows]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def _backends(dsn: str) -> list[asyncpg.Record]:
    rows = await fetch(dsn, _BACKENDS)
    return rows if len(rows) == 4 else []
