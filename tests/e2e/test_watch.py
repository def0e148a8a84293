"""A watch over servers that are killed: every job's end arrives, by changes alone."""

import asyncio
from contextlib import aclosing

import pytest

from jobsvc.client import AsyncClient
from tests.e2e.support.stage import Stage
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

_KILLS = 3
_JOBS_EACH = 12


class _Reader:
    """The last state of each job, as a client's watch tells it."""

    def __init__(self) -> None:
        self.synced = asyncio.Event()
        self.ended: dict[str, str] = {}
        self.updates = 0

    async def watch(self, target: str) -> None:
        async with (
            AsyncClient(target) as client,
            aclosing(
                client.watch(
                    queues=["nap"], changes_only=True, full=True, on_synced=self.synced.set
                )
            ) as updates,
        ):
            async for update in updates:
                self.updates += 1
                if update.status.ended:
                    self.ended[update.job_id] = update.status.state.name


async def test_watch_loses_nothing_while_servers_are_killed(stage: Stage) -> None:
    """The one that it is open on is killed, with creations and runs under way; jobs end on another
    one while it is away."""
    watched = await stage.serve()
    other = await stage.serve()
    port = watched.port
    await stage.work(other.target, "--concurrency", "4")
    reader = _Reader()
    created: list[str] = []
    async with stage.calls(other.target) as caller:
        await caller.client.declare_queue("nap")
        reading = asyncio.ensure_future(reader.watch(watched.target))
        try:
            await asyncio.wait_for(reader.synced.wait(), 20)
            for _ in range(_KILLS):
                created += [await caller.create("nap", {"seconds": 0.1}) for _ in range(_JOBS_EACH)]
                seen = reader.updates
                await eventually(lambda n=seen: reader.updates > n + 3, what="updates come")
                watched.kill()
                # These begin and end while nobody watches.
                apart = [await caller.create("nap") for _ in range(_JOBS_EACH)]
                await caller.follow(apart)
                created += apart
                watched = await stage.serve(port=port)
            await caller.follow(created)
            await eventually(
                lambda: reader.ended.keys() >= set(created) or reading.done(),
                seconds=30,
                what=lambda: f"the end of {set(created) - reader.ended.keys()}",
            )
            assert not reading.done(), reading.exception()
        finally:
            reading.cancel()
        jobs = await stage.check(caller, created)
        assert {job_id: reader.ended[job_id] for job_id in created} == {
            job_id: job.status.state.name for job_id, job in jobs.items()
        }
