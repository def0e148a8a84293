"""requeue_jobs.sql: back into the queue, with or without an attempt used."""

import asyncpg
import pytest

from jobsvc.domain.job import AttemptRecord, JobState
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.lease_end import Requeued
from jobsvc.domain.outcome import Failure, Release, Requeue
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    RELEASE,
    RETRY,
    create_leased,
    end,
    lease,
    report,
    tables_of,
)


async def test_retried_job_waits_for_its_delay(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, priority=5, unique_key="k", ttl_seconds=900.0)
    result = await store.lease_ends.ends.submit_one(end(lease_id, Requeue(60.0, error=BROKEN)))
    assert isinstance(result, Requeued)
    assert await tables_of(sql, lease_id.job_id) == {"job", "waiting", "attempt", "held_key"}
    job = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id]
    status = job.status
    assert (status.state, status.version, status.attempt) == (JobState.PENDING, 3, 1)
    assert (status.error, status.worker_id) == (BROKEN, "w")
    assert status.start_time is not None
    assert status.run_time == result.run_time
    assert (result.run_time - status.update_time).total_seconds() == 60
    assert result.queue == "q"
    row = await sql.fetchrow("SELECT rank, keyed, expire_time, released_lease FROM waiting")
    assert row is not None
    assert tuple(row) == (-5, True, job.expire_time, None)
    assert await lease(store) == []


async def test_used_attempt_enters_the_history(store: Store) -> None:
    lease_id = await create_leased(store)
    (before,) = (await store.jobs.read([lease_id.job_id])).values()
    await store.lease_ends.ends.submit_one(end(lease_id, RETRY))
    (attempt,) = await store.jobs.read_attempts(lease_id.job_id, 9)
    assert attempt == AttemptRecord(1, "w", before.status.start_time, attempt.end_time, BROKEN)
    assert attempt.end_time is not None
    assert attempt.start_time is not None
    assert attempt.end_time > attempt.start_time


async def test_history_names_the_last_ten_newest_first(store: Store) -> None:
    lease_id = await create_leased(store)
    for number in range(1, 13):
        await store.lease_ends.ends.submit_one(end(lease_id, RETRY))
        (job,) = await lease(store, worker=f"w{number + 1}")
        lease_id = job.id
        assert job.delivery.terms.attempt == number + 1
    history = await store.jobs.read_attempts(lease_id.job_id, 13)
    assert [attempt.attempt for attempt in history] == list(range(12, 2, -1))
    before = await store.jobs.read_attempts(lease_id.job_id, 5)
    assert [attempt.attempt for attempt in before] == [5, 4, 3, 2, 1]
    assert history[0].worker_id == "w12"


async def test_released_job_is_as_if_it_had_not_been_leased(
    store: Store, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store)
    await report(store, lease_id, Release(60.0))
    assert await tables_of(sql, lease_id.job_id) == {"job", "waiting"}
    status = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    assert (status.state, status.version, status.attempt) == (JobState.PENDING, 3, 0)
    assert (status.error, status.worker_id, status.start_time) == (None, "", None)
    assert await sql.fetchval("SELECT released_lease FROM waiting") == lease_id.number
    assert await sql.fetchval("SELECT redeliveries FROM waiting") == 0


async def test_job_released_in_its_second_attempt_shows_the_first(store: Store) -> None:
    lease_id = await create_leased(store)
    await report(store, lease_id, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store, worker="second")
    await store.lease_ends.ends.submit_one(end(job.id, RELEASE))
    status = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    assert (status.attempt, status.worker_id, status.error) == (1, "w", BROKEN)


@pytest.mark.parametrize("verdict", [RETRY, RELEASE])
async def test_job_without_delay_is_ready_at_once(store: Store, verdict: Requeue) -> None:
    lease_id = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(lease_id, verdict))
    assert await store.claims.ready(["q"]) == ["q"]
    assert len(await lease(store)) == 1


@pytest.mark.parametrize("verdict", [RETRY, RELEASE])
async def test_job_that_is_to_be_cancelled_does_not_go_back(
    store: Store, sql: asyncpg.Connection, verdict: Requeue
) -> None:
    lease_id = await create_leased(store)
    # Asked for after the end of the lease was decided, and before it is written.
    await sql.execute("UPDATE lease SET cancel_request_time = now()")
    assert await store.lease_ends.ends.submit_one(end(lease_id, verdict)) is False
    assert await tables_of(sql, lease_id.job_id) == {"job", "lease"}


@pytest.mark.parametrize("number", [-1, 1, 10**12])
async def test_lease_that_is_not_current_hides_no_current_one(store: Store, number: int) -> None:
    current = await create_leased(store)
    other = LeaseId.of(current.job_id, current.number + number)
    results = await store.lease_ends.ends.submit([end(i, RELEASE) for i in (other, current, other)])
    assert [bool(r) for r in results] == [False, True, False]
