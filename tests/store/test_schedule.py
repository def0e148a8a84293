"""When a job may first run, and the jobs that would expire before."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.job import NewJob
from jobsvc.store.store import Store
from tests.store.support.samples import counts, new_job

HOUR = timedelta(hours=1)


@pytest.mark.parametrize("delay", [0.0, 0.0000005, 0.0000015, 90.5, 3155760000.0])
async def test_schedule_delay_counts_from_the_creation(store: Store, delay: float) -> None:
    new = new_job(schedule_delay_seconds=delay)
    create_time = await store.jobs.create(new)
    assert create_time is not None
    job = (await store.jobs.read([new.id]))[new.id]
    assert job.schedule_time == new.options.scheduled_at(create_time)
    assert job.status.run_time == new.options.run_time(create_time) == job.schedule_time
    assert job.schedule_time is not None
    assert (job.schedule_time - create_time).total_seconds() == pytest.approx(delay, abs=1e-6)


async def test_jobs_of_a_batch_may_differ_in_their_delay(store: Store) -> None:
    delays = [None, 60.0, 90.0]
    jobs = [new_job(schedule_delay_seconds=delay) for delay in delays]
    await store.jobs.creates.submit(jobs)
    read = await store.jobs.read([job.id for job in jobs])
    for job, delay in zip(jobs, delays, strict=True):
        start = read[job.id].schedule_time
        wait = None if start is None else (start - read[job.id].create_time).total_seconds()
        assert wait == delay


def hopeless() -> list[NewJob]:
    """Jobs that would expire before they may first run."""
    now = datetime.now(UTC)
    return [
        new_job(expire_time=now - HOUR),
        new_job(expire_time=now + HOUR, schedule_time=now + 2 * HOUR),
        new_job(expire_time=now + 2 * HOUR, schedule_time=now + 2 * HOUR),
        new_job(expire_time=now + HOUR, schedule_delay_seconds=7200.0),
        new_job(ttl_seconds=60.0, schedule_time=now + HOUR),
        new_job(ttl_seconds=60.0, schedule_delay_seconds=60.0),
        new_job(ttl_seconds=60.0, schedule_delay_seconds=61.0, unique_key="k"),
    ]


async def test_job_that_could_never_begin_is_passed_over_and_its_neighbours_are_written(
    store: Store, sql: asyncpg.Connection
) -> None:
    jobs = [job for bad in hopeless() for job in (new_job(), bad)]
    times = await store.jobs.creates.submit(jobs)
    written = [isinstance(time, datetime) for time in times]
    assert written == [True, False] * len(hopeless())
    now = datetime.now(UTC)
    assert [job.options.can_begin(now) for job in jobs] == written
    assert await counts(sql, ["job", "waiting", "held_key"]) == {
        "job": len(hopeless()),
        "waiting": len(hopeless()),
        "held_key": 0,
    }


async def test_job_that_can_begin_for_a_moment_is_written(store: Store) -> None:
    now = datetime.now(UTC)
    for job in (
        new_job(expire_time=now + 2 * HOUR, schedule_time=now + HOUR),
        new_job(expire_time=now + HOUR, schedule_time=now - HOUR),
        new_job(ttl_seconds=60.1, schedule_delay_seconds=60.0),
        new_job(ttl_seconds=60.0, schedule_time=now - HOUR),
    ):
        assert job.options.can_begin(now)
        assert await store.jobs.create(job) is not None
