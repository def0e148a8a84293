"""start_within: a job whose first attempt has not begun in time. Rows are aged, nothing waits."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import JOB_EXPIRED, START_DEADLINE, Failure, Release
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    create,
    create_leased,
    lease,
    new_job,
    report,
    tables_of,
)

MINUTE = 60.0
KEEP = 3600.0
AGE = "UPDATE waiting SET start_deadline = now() - interval '1 minute'"
AGE_LEASED = "UPDATE lease SET start_deadline = now() - interval '1 minute'"


async def expire(store: Store) -> list[str]:
    return [job.job_id for job in await store.upkeep.expire(100, KEEP)]


async def seconds_to_start(sql: asyncpg.Connection) -> float | None:
    """From the time at which the one waiting job may first run to its start deadline."""
    row = await sql.fetchrow(
        "SELECT start_deadline - greatest(create_time, schedule_time) AS time_left"
        " FROM waiting JOIN job ON id = job_id"
    )
    assert row is not None
    return row["time_left"].total_seconds() if row["time_left"] is not None else None


async def test_job_that_did_not_start_in_time_has_failed(
    store: Store, sql: asyncpg.Connection
) -> None:
    job_id = await create(store, start_within_seconds=MINUTE, unique_key="k")
    assert await expire(store) == []
    await sql.execute(AGE)
    assert await lease(store) == []
    assert await expire(store) == [job_id]
    assert await tables_of(sql, job_id) == {"job", "result"}
    job = (await store.jobs.read([job_id]))[job_id]
    assert (job.status.state, job.status.error) == (JobState.FAILED, START_DEADLINE)
    assert (job.status.attempt, job.status.version, job.status.start_time) == (0, 2, None)
    assert job.status.purge_time is not None
    assert job.status.end_time is not None
    assert (job.status.purge_time - job.status.end_time).total_seconds() == pytest.approx(KEEP)
    assert job.run_policy.start_within_seconds == MINUTE
    assert await store.jobs.create(new_job(unique_key="k")) is not None


@pytest.mark.parametrize("hours", [None, -1, 1])
async def test_time_counts_from_when_the_job_may_first_run(
    store: Store, sql: asyncpg.Connection, hours: int | None
) -> None:
    schedule_time = hours and datetime.now(UTC) + timedelta(hours=hours)
    await create(store, start_within_seconds=90.5, schedule_time=schedule_time)
    assert await seconds_to_start(sql) == 90.5


async def test_time_counts_from_the_end_of_a_delay(store: Store, sql: asyncpg.Connection) -> None:
    await create(store, start_within_seconds=90.5, schedule_delay_seconds=3600.0)
    assert await seconds_to_start(sql) == 90.5
    assert await sql.fetchval("SELECT run_at - update_time FROM waiting") == timedelta(hours=1)


async def test_job_without_a_deadline_costs_its_index_nothing(
    store: Store, sql: asyncpg.Connection
) -> None:
    await create(store)
    await create(store, ttl_seconds=MINUTE)
    await sql.execute("CREATE EXTENSION pgstattuple")
    entries = "SELECT tuple_count FROM pgstattuple('waiting_start_deadline')"
    assert await sql.fetchval(entries) == 0
    await create(store, start_within_seconds=MINUTE)
    assert await sql.fetchval(entries) == 1


async def test_started_job_is_bound_no_more(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, start_within_seconds=MINUTE)
    await sql.execute(AGE_LEASED)
    await report(store, lease_id, Failure(BROKEN, retry_delay_seconds=0.0))
    assert await sql.fetchval("SELECT start_deadline FROM waiting") is None
    assert await expire(store) == []
    (again,) = await lease(store)
    assert await store.leases.redeliver([again.id])
    assert await sql.fetchrow("SELECT attempt, start_deadline FROM waiting") == (1, None)
    assert [job.id.job_id for job in await lease(store)] == [lease_id.job_id]


async def hand_back(store: Store, lease_id: LeaseId, how: str) -> None:
    """Ends a first lease in a way that uses no attempt."""
    if how == "released":
        await report(store, lease_id, Release())
    else:
        assert await store.leases.redeliver([lease_id], unsent=how == "unsent")


@pytest.mark.parametrize("how", ["released", "undelivered", "unsent"])
async def test_attempt_that_was_not_used_has_not_begun(
    store: Store, sql: asyncpg.Connection, how: str
) -> None:
    lease_id = await create_leased(store, start_within_seconds=MINUTE)
    await hand_back(store, lease_id, how)
    assert await seconds_to_start(sql) == MINUTE
    (again,) = await lease(store)
    await sql.execute(AGE_LEASED)
    await hand_back(store, again.id, how)
    assert await lease(store) == []
    assert await expire(store) == [lease_id.job_id]
    assert (await store.jobs.read([lease_id.job_id]))[
        lease_id.job_id
    ].status.error == START_DEADLINE


@pytest.mark.parametrize(
    ("expired", "unstarted", "error"),
    [
        (2, 1, JOB_EXPIRED),
        (1, 2, START_DEADLINE),
        (1, 1, JOB_EXPIRED),
        (1, -1, JOB_EXPIRED),
        (-1, 1, START_DEADLINE),
    ],
)
async def test_earlier_of_two_ends_is_the_reason(
    store: Store, sql: asyncpg.Connection, expired: int, unstarted: int, error: object
) -> None:
    """The numbers are minutes since each end has passed."""
    job_id = await create(store, ttl_seconds=MINUTE, start_within_seconds=MINUTE)
    await sql.execute(
        "UPDATE waiting SET expire_time = now() - $1 * interval '1 minute',"
        " start_deadline = now() - $2 * interval '1 minute'",
        expired,
        unstarted,
    )
    assert await lease(store) == []
    assert await expire(store) == [job_id]
    assert (await store.jobs.read([job_id]))[job_id].status.error == error


async def test_retry_may_expire_but_has_begun(store: Store, sql: asyncpg.Connection) -> None:
    options = {"ttl_seconds": MINUTE, "start_within_seconds": MINUTE}
    lease_id = await create_leased(store, **options)
    await report(store, lease_id, Failure(BROKEN))
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 minute'")
    assert await expire(store) == [lease_id.job_id]
    assert (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status.error == JOB_EXPIRED
