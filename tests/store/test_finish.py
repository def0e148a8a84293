"""finish_jobs.sql: a lease ends once, by its own id, and the job with it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import asyncpg
import pytest
from msgspec.structs import replace

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.domain.lease_end import Progress, Requeued
from jobsvc.domain.outcome import OUTCOME_REJECTED, Finish, Requeue
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    COMPLETED,
    FAILED,
    RELEASE,
    RETRY,
    counts,
    create,
    create_leased,
    end,
    lease,
    tables_of,
    until_blocked,
)


async def test_finished_job_is_in_the_results(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, unique_key="k")
    await store.leases.extensions.submit_one(Extension(lease_id, percent=90, message="nearly"))
    done = end(lease_id, Finish(JobState.COMPLETED, output='{ "a": 1 }'))
    assert await store.lease_ends.ends.submit_one(done) is True
    assert await tables_of(sql, lease_id.job_id) == {"job", "result"}
    status = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    assert (status.state, status.version, status.attempt) == (JobState.COMPLETED, 4, 1)
    assert (status.output, status.error, status.worker_id) == ('{ "a": 1 }', None, "w")
    assert (status.progress_percent, status.progress_message) == (90, "nearly")
    assert status.end_time == status.update_time
    assert status.start_time is not None
    assert status.end_time is not None
    assert status.end_time > status.start_time
    assert status.purge_time == status.end_time + timedelta(hours=1)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
async def test_job_ends_as_decided(store: Store, sql: asyncpg.Connection, state: JobState) -> None:
    lease_id = await create_leased(store)
    await sql.execute("UPDATE lease SET cancel_request_time = now()")
    await store.lease_ends.ends.submit_one(end(lease_id, Finish(state, error=BROKEN)))
    status = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    # A failure that was decided before the cancellation was requested is a cancellation, too.
    assert (status.state, status.error, status.output) == (JobState.CANCELLED, BROKEN, None)
    assert status.cancel_request_time is not None


@pytest.mark.parametrize("verdict", [COMPLETED, FAILED, RETRY, RELEASE])
async def test_stale_worker_cannot_end_the_lease_of_its_successor(
    store: Store, sql: asyncpg.Connection, verdict: Finish
) -> None:
    stale = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(stale, RETRY))
    (job,) = await lease(store, worker="successor")
    before = await sql.fetchrow("SELECT * FROM lease")
    assert await store.lease_ends.ends.submit_one(end(stale, verdict)) is False
    assert await sql.fetchrow("SELECT * FROM lease") == before
    assert await store.lease_ends.ends.submit_one(end(job.id)) is True


@pytest.mark.parametrize("verdict", [COMPLETED, RETRY])
async def test_ended_lease_does_not_end_again(
    store: Store, sql: asyncpg.Connection, verdict: Finish
) -> None:
    lease_id = await create_leased(store)
    assert await store.lease_ends.ends.submit_one(end(lease_id, verdict))
    before = await counts(sql), await sql.fetchrow("SELECT * FROM result")
    for again in (COMPLETED, FAILED, RETRY, RELEASE):
        assert await store.lease_ends.ends.submit_one(end(lease_id, again)) is False
    assert (await counts(sql), await sql.fetchrow("SELECT * FROM result")) == before


async def test_first_of_two_ends_in_a_batch_counts(store: Store) -> None:
    lease_id = await create_leased(store)
    ends = [end(lease_id, COMPLETED), end(lease_id, FAILED), end(lease_id, RETRY)]
    assert await store.lease_ends.ends.submit(ends) == [True, False, False]
    job = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id]
    assert job.status.state is JobState.COMPLETED


@pytest.mark.parametrize("current_verdict", [COMPLETED, RETRY])
@pytest.mark.parametrize("stale_verdict", [COMPLETED, RETRY])
async def test_stale_end_beside_the_current_one_is_not_confirmed(
    store: Store, current_verdict: Finish, stale_verdict: Finish
) -> None:
    stale = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(stale, RETRY))
    (job,) = await lease(store)
    ends = [end(stale, stale_verdict), end(job.id, current_verdict)]
    results = await store.lease_ends.ends.submit(ends)
    assert results[0] is False
    assert results[1] is not False


async def test_lease_that_was_extended_meanwhile_is_left_alone(
    store: Store, sql: asyncpg.Connection
) -> None:
    for verdict in (COMPLETED, RETRY):
        lease_id = await create_leased(store)
        await sql.execute("UPDATE lease SET until = now() - interval '1 minute'")
        (lapsed,) = await store.leases.lapsed(10)
        await store.leases.extensions.submit_one(Extension(lease_id))
        late = end(lease_id, verdict, until=lapsed.until)
        assert await store.lease_ends.ends.submit_one(late) is False
        assert await tables_of(sql, lease_id.job_id) == {"job", "lease"}
        until = await sql.fetchval("SELECT until FROM lease")
        assert await store.lease_ends.ends.submit_one(replace(late, until=until)) is not False


async def test_batch_answers_for_each_end_in_order(store: Store, sql: asyncpg.Connection) -> None:
    for _ in range(6):
        await create(store)
    ids = [job.id for job in await lease(store, 6)]
    verdicts = [COMPLETED, RETRY, FAILED, RELEASE, COMPLETED, RETRY]
    ends = [end(i, v) for i, v in zip(ids, verdicts, strict=True)][::-1]
    ends.insert(3, end(LeaseId.of(ids[0].job_id, 10**12)))
    results = await store.lease_ends.ends.submit(ends)
    kinds = [type(r) if isinstance(r, Requeued) else r for r in results]
    assert kinds == [Requeued, True, Requeued, False, True, Requeued, True]
    assert await counts(sql, ["waiting", "lease", "result", "attempt"]) == {
        "waiting": 3,
        "lease": 0,
        "result": 3,
        "attempt": 2,
    }


@pytest.mark.parametrize("verdict", [COMPLETED, RETRY])
async def test_leases_of_two_jobs_may_share_a_number(
    store: Store, sql: asyncpg.Connection, verdict: Finish | Requeue
) -> None:
    job_ids = [await create(store) for _ in range(2)]
    await lease(store, 2)
    await sql.execute("UPDATE lease SET lease_id = 5")
    ends = [end(LeaseId.of(job_id, 5), verdict) for job_id in job_ids]
    passed = await sql.fetchval("SELECT now() - interval '1 minute'")
    # One of them does not end, since it was extended after it was found to have lapsed.
    ends[0] = replace(ends[0], until=passed)
    results = await store.lease_ends.ends.submit(ends)
    assert [bool(result) for result in results] == [False, True]


async def test_output_that_cannot_be_stored_spoils_no_neighbour(
    store: Store, sql: asyncpg.Connection
) -> None:
    for _ in range(3):
        await create(store)
    ids = [job.id for job in await lease(store, 3)]
    outputs = ['{"a": 1}', '{"a": "\0"}', None]
    ends = [end(i, Finish(JobState.COMPLETED, output=o)) for i, o in zip(ids, outputs, strict=True)]
    rejected = Finish(JobState.FAILED, error=OUTCOME_REJECTED)
    assert await store.lease_ends.ends.submit(ends) == [True, rejected, True]
    jobs = await store.jobs.read([lease_id.job_id for lease_id in ids])
    states = [jobs[lease_id.job_id].status.state for lease_id in ids]
    assert states == [JobState.COMPLETED, JobState.FAILED, JobState.COMPLETED]


async def test_ends_and_rescue_at_once_accept_one_each(
    store: Store, sql: asyncpg.Connection
) -> None:
    for _ in range(50):
        await create(store)
    ids = [job.id for job in await lease(store, 50)]
    until = await sql.fetchval("SELECT max(until) FROM lease")
    reported, rescued = await asyncio.gather(
        store.lease_ends._end([end(i) for i in ids]),
        store.lease_ends._end([end(i, RETRY, until=until) for i in reversed(ids)]),
    )
    rescued.reverse()
    assert all(bool(one) != bool(other) for one, other in zip(reported, rescued, strict=True))
    after = await counts(sql, ["waiting", "lease", "result"])
    assert after["lease"] == 0
    assert after["waiting"] + after["result"] == 50


async def test_every_statement_locks_leases_in_the_order_of_their_jobs(
    store: Store, sql: asyncpg.Connection
) -> None:
    for _ in range(3):
        await create(store)
    ids = sorted((job.id for job in await lease(store, 3)), key=lambda i: i.job_id)
    backwards = ids[::-1]
    first, others = ids[0].number, "SELECT FROM lease WHERE lease_id <> $1 FOR UPDATE SKIP LOCKED"
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: store.leases._extend([Extension(i) for i in backwards]),
        lambda: store.leases.redeliver(backwards),
        lambda: store.lease_ends._end([end(i, RETRY) for i in backwards]),
        lambda: store.lease_ends._end([end(i, COMPLETED) for i in backwards]),
    ]
    for call in calls:
        async with sql.transaction():
            await sql.execute("SELECT FROM lease WHERE lease_id = $1 FOR UPDATE", first)
            calling = asyncio.ensure_future(call())
            await until_blocked(sql)
            # The first one is what it waits for, so it holds none of the others yet.
            assert len(await sql.fetch(others, first)) == 2
            calling.cancel()
            await asyncio.wait([calling])


async def test_job_ends_when_its_row_is_let_go(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    async with asyncio.TaskGroup() as tasks:
        async with sql.transaction():
            await sql.execute("SELECT FROM lease FOR UPDATE")
            ending = tasks.create_task(store.lease_ends.ends.submit_one(end(lease_id)))
            await until_blocked(sql)
            freed = await sql.fetchval("SELECT clock_timestamp()")
        assert await ending
    status = (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status
    assert status.end_time is not None
    assert status.end_time > freed


@pytest.mark.parametrize(
    ("verdict", "is_cancelled"),
    [
        (Finish(JobState.COMPLETED, output='{ "a": 1 }'), False),
        (COMPLETED, True),
        (Finish(JobState.FAILED, error=BROKEN), False),
        (Finish(JobState.FAILED, error=BROKEN), True),
        (Finish(JobState.CANCELLED), True),
    ],
)
async def test_status_of_an_end_is_what_a_read_says(
    store: Store, sql: asyncpg.Connection, verdict: Finish, is_cancelled: bool
) -> None:
    leases = [await create_leased(store) for _ in range(4)]
    await store.leases.extensions.submit_one(Extension(leases[1], percent=90, message="nearly"))
    if is_cancelled:
        await sql.execute("UPDATE lease SET cancel_request_time = now(), cancel_reason = 'why'")
    await store.lease_ends.ends.submit_one(end(leases[3]))
    ends = [
        end(leases[0], verdict, with_status=True),
        end(leases[1], verdict, with_status=True, progress=Progress(95, "done")),
        end(leases[2], verdict),
        end(leases[3], verdict, with_status=True),  # It has ended already.
        end(await create_leased(store), verdict, with_status=True, progress=None),
    ]
    random.shuffle(ends)
    results = dict(zip([e.id for e in ends], await store.lease_ends.ends.submit(ends), strict=True))
    assert (results[leases[2]], results[leases[3]]) == (True, False)
    read = await store.jobs.read([e.id.job_id for e in ends])
    told = {e.id.job_id: results[e.id] for e in ends if e.id not in leases[2:]}
    assert len(told) == 3
    assert told == {job_id: read[job_id].status for job_id in told}
