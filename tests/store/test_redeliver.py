"""redeliver_leases.sql: a job that never reached its worker goes back, and uses no attempt."""

import asyncpg

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.domain.outcome import MAX_REDELIVERIES, Release, Requeue
from jobsvc.store.store import Store
from tests.store.support.samples import RETRY, create, create_leased, end, lease, tables_of


async def test_redelivered_job_waits_at_once(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, unique_key="k", priority=3)
    assert await store.leases.redeliver([lease_id]) == {lease_id: "q"}
    assert await tables_of(sql, lease_id.job_id) == {"job", "waiting", "held_key"}
    status = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    assert (status.state, status.version, status.attempt) == (JobState.PENDING, 3, 0)
    row = await sql.fetchrow("SELECT rank, redeliveries, keyed FROM waiting")
    assert row is not None
    assert tuple(row) == (-3, 1, True)
    (job,) = await lease(store)
    assert job.delivery.terms.attempt == 1


async def test_unsent_job_goes_back_to_its_position_as_often_as_it_takes(
    store: Store, sql: asyncpg.Connection
) -> None:
    order = [await create(store) for _ in range(3)]
    await sql.execute("UPDATE waiting SET attempt = 1, run_at = now() - interval '1 hour'")
    before = await sql.fetch("SELECT job_id, run_at, attempt, redeliveries FROM waiting")
    for _ in range(MAX_REDELIVERIES + 1):
        _, *rest = jobs = await lease(store, 3)
        assert [job.id.job_id for job in jobs] == order
        assert await store.leases.redeliver([job.id for job in rest], unsent=True)
        assert await store.leases.redeliver([jobs[0].id], unsent=True)
    again = await sql.fetch("SELECT job_id, run_at, attempt, redeliveries FROM waiting")
    assert set(again) == set(before)


async def test_release_is_known_after_a_redelivery(store: Store) -> None:
    released = await create_leased(store)
    handed_back = Requeue(0.0, error=None, attempt_used=False)
    await store.lease_ends.ends.submit_one(end(released, handed_back))
    (job,) = await lease(store)
    assert await store.leases.redeliver([job.id])
    assert await store.lease_ends.were_recorded([(released, Release(0.0, ""))]) == [True]


async def test_confirmed_lease_stays(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    await store.leases.extensions.submit_one(Extension(lease_id))
    assert await store.leases.redeliver([lease_id]) == {}
    assert await tables_of(sql, lease_id.job_id) == {"job", "lease"}


async def test_lease_that_is_to_be_cancelled_stays(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    await sql.execute("UPDATE lease SET cancel_request_time = now()")
    assert await store.leases.redeliver([lease_id]) == {}


async def test_job_is_redelivered_ten_times_at_most(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    for _ in range(MAX_REDELIVERIES):
        assert await store.leases.redeliver([lease_id]) == {lease_id: "q"}
        (job,) = await lease(store)
        lease_id = job.id
    assert await store.leases.redeliver([lease_id]) == {}
    assert await tables_of(sql, lease_id.job_id) == {"job", "lease"}


async def test_stale_lease_is_not_redelivered(store: Store, sql: asyncpg.Connection) -> None:
    stale = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(stale, RETRY))
    assert await store.leases.redeliver([stale]) == {}
    (job,) = await lease(store)
    assert await store.leases.redeliver([stale, LeaseId.of(stale.job_id, 10**12)]) == {}
    assert await tables_of(sql, stale.job_id) == {"job", "lease", "attempt"}
    for step in (1, -1):
        both = [stale, job.id][::step]
        assert await store.leases.redeliver(both) == {job.id: "q"}
        (job,) = await lease(store)


async def test_many_leases_are_redelivered_together(store: Store) -> None:
    for _ in range(5):
        await create(store)
    ids = [job.id for job in await lease(store, 5)]
    await store.leases.extensions.submit_one(Extension(ids[2]))
    back = await store.leases.redeliver(ids)
    assert back == {i: "q" for i in ids if i != ids[2]}
    assert await store.leases.redeliver([]) == {}
