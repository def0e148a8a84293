"""read_jobs.sql, find_changed.sql and the statements that read leases."""

from uuid import uuid4

import asyncpg

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import Extension
from jobsvc.domain.outcome import Failure, Finish, Success
from jobsvc.store.store import Store
from tests.store.support.samples import BROKEN, create, create_leased, end, lease, new_job, report
from tests.support.samples import untimed


async def test_jobs_are_read_with_what_was_asked_for(store: Store) -> None:
    job_id = await create(store, input='{"a": 1}')
    (job,) = await lease(store)
    await report(store, job.id, Success('{"b": 2}'))
    for with_input in (True, False):
        for with_output in (True, False):
            read = (await store.jobs.read([job_id], with_input, with_output))[job_id]
            assert read.input == ('{"a": 1}' if with_input else None)
            assert read.status.output == ('{"b": 2}' if with_output else None)


async def test_unknown_job_is_missing(store: Store) -> None:
    job_id, unknown = await create(store), uuid4()
    assert set(await store.jobs.read([unknown, job_id])) == {job_id}
    assert await store.jobs.find_changed({str(unknown): 1, job_id: 1}) == {str(unknown): None}
    assert await store.jobs.read([]) == {}
    assert await store.jobs.read_attempts(unknown, 9) == []


async def test_job_with_another_version_than_was_seen_has_changed(store: Store) -> None:
    ids = [await create(store) for _ in range(3)]
    leased = [job.id for job in await lease(store, 2)]
    await store.leases.extensions.submit_one(Extension(leased[0], percent=1))
    await store.lease_ends.ends.submit_one(end(leased[1]))
    versions = {i: job.status.version for i, job in (await store.jobs.read(ids)).items()}
    assert [versions[i] for i in ids] == [3, 3, 1]
    first, ended, waiting = ids
    # One that has ended has changed, whatever was seen of it.
    assert await store.jobs.find_changed(versions) == {ended: None}
    seen = dict.fromkeys(ids, 1)
    assert await store.jobs.find_changed(seen) == {first: 3, ended: None}
    # After a step back of the database.
    seen = dict.fromkeys(ids, 12)
    assert await store.jobs.find_changed(seen) == {first: 3, ended: None, waiting: 1}
    assert await store.jobs.find_changed({}) == {}


async def test_job_is_read_inside_a_transaction(store: Store) -> None:
    job = new_job()
    async with store.database.transaction() as connection:
        await store.jobs.create_all(connection, [job])
        assert set(await store.jobs.read([job.id], connection=connection)) == {job.id}
        assert await store.jobs.read([job.id]) == {}
    assert set(await store.jobs.read([job.id])) == {job.id}


async def test_end_of_a_job_hides_the_attempts_before(store: Store) -> None:
    first = await create_leased(store)
    await report(store, first, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store, worker="second")
    status = (await store.jobs.read([first.job_id]))[first.job_id].status
    assert (status.state, status.worker_id, status.error) == (JobState.PROCESSING, "second", None)
    await store.lease_ends.ends.submit_one(end(job.id))
    status = (await store.jobs.read([first.job_id]))[first.job_id].status
    assert (status.state, status.worker_id, status.error) == (JobState.COMPLETED, "second", None)


async def test_leases_are_read_while_they_are_current(store: Store) -> None:
    for _ in range(2):
        await create(store, request_id=uuid4())
    one, other = await lease(store, 2)
    ids = [one.id, other.id]
    read = await store.leases.read(ids)
    assert {lease_id: untimed(terms) for lease_id, terms in read.items()} == {
        leased.id: untimed(leased.delivery.terms) for leased in (one, other)
    }
    assert (await store.leases.of_worker("w")).keys() == set(ids)
    await store.lease_ends.ends.submit_one(end(one.id, Finish(JobState.COMPLETED)))
    for left in (await store.leases.read(ids), await store.leases.of_worker("w")):
        assert {lease_id: untimed(terms) for lease_id, terms in left.items()} == {
            other.id: untimed(other.delivery.terms)
        }
    assert await store.leases.of_worker("v") == {}


async def test_lapsed_leases_are_found_oldest_first(store: Store, sql: asyncpg.Connection) -> None:
    for _ in range(4):
        await create(store)
    ids = [job.id for job in await lease(store, 4)]
    assert await store.leases.lapsed(10) == []
    for minutes, lease_id in ((1, ids[1]), (5, ids[2])):
        await sql.execute(
            "UPDATE lease SET until = now() - $1 * interval '1 minute' WHERE lease_id = $2",
            minutes,
            lease_id.number,
        )
    await sql.execute(
        "UPDATE lease SET deadline = now() - interval '1 second' WHERE lease_id = $1",
        ids[3].number,
    )
    lapsed = await store.leases.lapsed(10)
    assert [one.id for one in lapsed] == [ids[2], ids[1], ids[3]]
    assert lapsed[0].until < lapsed[0].read_time < lapsed[0].deadline
    assert lapsed[2].deadline < lapsed[2].read_time < lapsed[2].until
    assert [one.id for one in await store.leases.lapsed(1)] == [ids[2]]


async def test_lapsed_lease_says_whether_to_cancel_and_when_the_job_expires(
    store: Store, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store, ttl_seconds=60.0)
    await sql.execute(
        "UPDATE lease SET until = now() - interval '1 minute', cancel_request_time = now()"
    )
    (lapsed,) = await store.leases.lapsed(10)
    assert lapsed.terms.cancel_requested
    read = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id]
    assert lapsed.expire_time == read.expire_time
    assert (await store.leases.read([lease_id]))[lease_id].cancel_requested
