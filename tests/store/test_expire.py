"""expire_jobs.sql: waiting jobs that have passed their expire_time."""

from uuid import uuid4

import asyncpg
import pytest

from jobsvc.domain.job import JobState
from jobsvc.domain.outcome import JOB_EXPIRED, Failure
from jobsvc.store.store import Store
from tests.store.support.samples import BROKEN, create, create_leased, new_job, report, tables_of

LONG, SHORT = 3600.0, 60.0


async def expire(store: Store, limit: int = 100) -> list[str]:
    return [job.job_id for job in await store.upkeep.expire(limit, LONG)]


async def age(sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 minute'")


async def test_expired_job_has_failed(store: Store, sql: asyncpg.Connection) -> None:
    job_id = await create(store, ttl_seconds=SHORT, unique_key="k")
    assert await expire(store) == []
    await age(sql)
    assert await expire(store) == [job_id]
    assert await tables_of(sql, job_id) == {"job", "result"}
    status = (await store.jobs.read([job_id]))[job_id].status
    assert (status.state, status.error, status.version) == (JobState.FAILED, JOB_EXPIRED, 2)
    assert (status.attempt, status.worker_id, status.start_time) == (0, "", None)
    assert await store.jobs.create(new_job(unique_key="k")) is not None
    assert await expire(store) == []


async def test_job_that_never_expires_waits_on(store: Store) -> None:
    await create(store)
    assert await expire(store) == []


async def test_running_job_is_left_to_its_lease(store: Store, sql: asyncpg.Connection) -> None:
    await create_leased(store, ttl_seconds=SHORT)
    await sql.execute("UPDATE lease SET expire_time = now() - interval '1 minute'")
    assert await expire(store) == []


async def test_job_that_expires_between_attempts_shows_its_last_one(
    store: Store, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store, ttl_seconds=SHORT)
    await report(store, lease_id, Failure(BROKEN))
    before = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    await age(sql)
    assert await expire(store) == [lease_id.job_id]
    after = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    assert (after.attempt, after.worker_id) == (1, "w")
    assert after.start_time == before.start_time
    assert after.error == JOB_EXPIRED
    assert len(await store.jobs.read_attempts(lease_id.job_id, 9)) == 1


@pytest.mark.parametrize(
    ("retention", "kept"), [(None, LONG), (2 * SHORT, 2 * SHORT), (9 * LONG, 9 * LONG), (0.0, 60.0)]
)
async def test_expired_job_is_kept_as_asked_and_long_enough_to_be_seen(
    store: Store, sql: asyncpg.Connection, retention: float | None, kept: float
) -> None:
    await create(store, ttl_seconds=SHORT, retention_seconds=retention, request_id=uuid4())
    await age(sql)
    await expire(store)
    seconds = "SELECT extract(epoch FROM purge_time - end_time)::float8 FROM result"
    assert await sql.fetchval(seconds) == pytest.approx(kept, abs=1)


async def test_batch_is_bounded_and_passes_over_what_is_taken(
    store: Store, sql: asyncpg.Connection
) -> None:
    ids = [await create(store, ttl_seconds=SHORT) for _ in range(5)]
    await age(sql)
    async with sql.transaction():
        await sql.execute("SELECT FROM waiting WHERE job_id = ANY ($1) FOR UPDATE", ids[:2])
        first = await expire(store, 2)
        assert len(first) == 2
        assert set(first + await expire(store)) == set(ids[2:])
    assert set(await expire(store)) == set(ids[:2])
