"""The clock of the database is stepped by an hour, and back: jobs may come late or twice, and no
two outcomes count. Fault 26."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from jobsvc.settings import SCHEMA
from jobsvc.store.inconsistencies import find_inconsistencies
from jobsvc.store.migrate import migrate
from tests.e2e.support.caller import Caller
from tests.e2e.support.checker import violations
from tests.e2e.support.stage import Stage, a_stage
from tests.e2e.support.tables import fetch, read_tables
from tests.support.probe import eventually
from tests.support.shifted_clock import ShiftedClock, shifted_clock
from tests.support.standby import pair

pytestmark = [pytest.mark.xdist_group("slow-faults"), pytest.mark.timeout(180)]

HOUR = 3600
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8 AS now"
#: They are judged by the clock that was stepped.
_BY_THE_CLOCK = ("K4", "K5")


@pytest.fixture
def clock() -> Iterator[ShiftedClock]:
    with shifted_clock() as made:
        yield made


@pytest.fixture
async def stage(clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """On a PostgreSQL that has the clock, which servers and workers have not."""
    async with AsyncExitStack() as stack:
        with monkeypatch.context() as only:
            for name, value in clock.environment.items():
                only.setenv(name, value)
            servers = await stack.enter_async_context(pair())
        await migrate(servers.primary.dsn)
        yield await stack.enter_async_context(a_stage(servers.primary.dsn))


async def step(stage: Stage, clock: ShiftedClock, seconds: int) -> None:
    clock.step(seconds)
    [row] = await fetch(stage.dsn, _NOW)
    assert abs(row["now"] - time.time() - seconds) < 60, "the clock is not what it was to be"


async def few(caller: Caller) -> list[str]:
    """Jobs of several habits."""
    naps = [await caller.create("nap", {"seconds": n}) for n in (0, 0.5, 2)]
    return [*naps, await caller.create("flaky")]


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_stepped_clock_of_the_database_costs_no_job(
    stage: Stage, clock: ShiftedClock, seconds: int
) -> None:
    server = await stage.serve()
    workers = [await stage.work(server.target, "--concurrency", "2") for _ in range(2)]
    async with stage.calls(server.target) as caller:
        job_ids = [await caller.create("nap", {"seconds": 3}) for _ in range(4)]
        runs = await eventually(lambda: stage.history.runs(*job_ids), lambda all_: len(all_) == 4)
        frozen = next(worker for worker in workers if worker.pid == runs[0].pid)
        frozen.freeze()
        kept = [run.job_id for run in runs if run.pid != frozen.pid]
        await step(stage, clock, seconds)
        job_ids += await few(caller)
        if seconds > 0:
            # What the frozen worker held is run again, and its outcome comes while that goes on.
            await eventually(
                lambda: any(run.attempt == 2 for run in stage.history.runs(*job_ids[:4])),
                seconds=60,
                what="the next attempt",
            )
        frozen.thaw()
        await caller.follow(job_ids)

        late = [await caller.create("nap", {"seconds": 3}) for _ in range(2)]
        await eventually(lambda: len(stage.history.runs(*late)) == 2, what="both run")
        await step(stage, clock, 0)
        job_ids += [*late, *await few(caller)]
        await caller.follow(job_ids)
        jobs = await caller.read(job_ids)
        # Workers that go on have the time to say so, whatever the clock says.
        assert {len(stage.history.runs(job_id)) for job_id in kept} <= {1}
        assert all(job.succeeded for job in jobs.values())
    found = violations(stage.history.events(), await read_tables(stage.dsn))
    assert [text for text in found if not text.startswith(_BY_THE_CLOCK)] == []
    assert await find_inconsistencies(stage.dsn, SCHEMA) == []
