"""prune_jobs.sql: ended jobs whose retention has passed, and what is left of some."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import Extension
from jobsvc.domain.outcome import Failure, Finish, Success
from jobsvc.domain.owner import Owner
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    COMPLETED,
    FAILED,
    counts,
    create,
    create_leased,
    end,
    lease,
    new_job,
    report,
    tables_of,
)

#: How long a request id is remembered.
DAY = 86_400.0


async def age(sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE result SET purge_time = now() - interval '1 minute'")


async def test_pruned_job_leaves_nothing_behind(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, unique_key="k", request_id=uuid4())
    await report(store, lease_id, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store)
    await store.lease_ends.ends.submit_one(end(job.id))
    assert await store.upkeep.prune(10, 0.0) == 0
    await age(sql)
    assert await store.upkeep.prune(10, 0.0) == 1
    assert set((await counts(sql)).values()) == {0}
    assert await store.jobs.read([lease_id.job_id]) == {}


async def test_job_with_a_request_id_is_emptied_first(
    store: Store, sql: asyncpg.Connection
) -> None:
    first = await create_leased(
        store, unique_key="k", request_id=uuid4(), labels={"a": "b"}, input='{"a": 1}'
    )
    await report(store, first, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store)
    await store.leases.extensions.submit_one(Extension(job.id, percent=9, message="working"))
    await store.lease_ends.ends.submit_one(end(job.id, Finish(JobState.COMPLETED, '{"b": 1}')))
    before = (await store.jobs.read([first.job_id], False, False))[first.job_id]
    await age(sql)
    assert await store.upkeep.prune(10, DAY) == 1
    assert await tables_of(sql, first.job_id) == {"job", "result"}
    # A reader does not find it, nor does the worker that ended it; the one who looks up its request
    # id learns how it ended.
    assert await store.jobs.read([first.job_id]) == {}
    assert await store.jobs.find_changed({first.job_id: before.status.version}) == {
        first.job_id: None
    }
    assert (
        await store.lease_ends.were_recorded(
            [(first, Failure(BROKEN)), (job.id, Success('{"b": 1}')), (job.id, Success())]
        )
        == [False] * 3
    )
    after = (await store.jobs.read([first.job_id], emptied_too=True))[first.job_id]
    status = replace(
        before.status,
        worker_id="",
        progress_percent=None,
        progress_message="",
        purge_time=after.status.purge_time,
    )
    emptied = replace(before, labels={}, unique_key=None, status=status, read_time=after.read_time)
    assert after == emptied
    assert after.status.purge_time is not None
    assert after.status.purge_time < after.read_time
    texts = await sql.fetch("SELECT job::text || result::text AS row FROM job, result")
    assert not [row for row in texts if '{"' in row["row"] or "working" in row["row"]]
    assert await store.upkeep.prune(10, DAY) == 0


@pytest.mark.parametrize("verdict", [FAILED, COMPLETED])
async def test_emptied_job_goes_when_its_request_id_may_be_forgotten(
    store: Store, sql: asyncpg.Connection, verdict: Finish
) -> None:
    lease_id = await create_leased(store, request_id=uuid4())
    await store.lease_ends.ends.submit_one(end(lease_id, verdict))
    await age(sql)
    assert await store.upkeep.prune(10, DAY) == 1
    # Later than the retention, and a day after its end.
    seconds = "SELECT extract(epoch FROM purge_time - end_time)::float8 FROM result"
    assert await sql.fetchval(seconds) == DAY
    for hours, pruned in ((23, 0), (24, 1)):
        await sql.execute(
            "UPDATE result SET (end_time, purge_time) = (now() - $1 * interval '1 hour',"
            " now() - $1 * interval '1 hour' + interval '1 day')",
            hours,
        )
        assert await store.upkeep.prune(10, DAY) == pruned
    assert set((await counts(sql)).values()) == {0}


async def test_emptied_job_is_kept_on_where_request_ids_are_remembered_for_longer_now(
    store: Store, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store, request_id=uuid4())
    await store.lease_ends.ends.submit_one(end(lease_id))
    await age(sql)
    await store.upkeep.prune(10, DAY)
    emptied_time = await sql.fetchval("SELECT emptied_time FROM result")
    await age(sql)
    assert await store.upkeep.prune(10, 2 * DAY) == 1
    assert await sql.fetchval("SELECT emptied_time FROM result") == emptied_time
    assert await sql.fetchval("SELECT purge_time - end_time FROM result") == timedelta(days=2)


async def test_result_without_a_job_is_removed(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, request_id=uuid4())
    await store.lease_ends.ends.submit_one(end(lease_id))
    await sql.execute("DELETE FROM job")
    await age(sql)
    assert await store.upkeep.prune(10, DAY) == 1
    assert await counts(sql, ["result"]) == {"result": 0}


async def test_job_that_has_not_ended_is_not_pruned(store: Store, sql: asyncpg.Connection) -> None:
    running = await create_leased(store)
    waiting = await create(store)
    assert await store.upkeep.prune(10, 0.0) == 0
    assert await tables_of(sql, running.job_id) == {"job", "lease"}
    assert await tables_of(sql, waiting) == {"job", "waiting"}


async def test_request_id_is_free_again_only_after_the_prune(
    store: Store, sql: asyncpg.Connection
) -> None:
    request_id = uuid4()
    lease_id = await create_leased(store, request_id=request_id, owner=Owner("web"))
    await store.lease_ends.ends.submit_one(end(lease_id))
    again = new_job(request_id=request_id, owner=Owner("web"))
    assert await store.jobs.create(again) is None
    await age(sql)
    await store.upkeep.prune(10, DAY)
    assert await store.jobs.create(again) is None
    await age(sql)
    await store.upkeep.prune(10, 0.0)
    assert await store.jobs.create(again) is not None


async def test_prunes_at_once_share_the_work(store: Store, sql: asyncpg.Connection) -> None:
    for number in range(30):
        await create(store, request_id=uuid4() if number % 2 else None)
    ends = [end(job.id) for job in await lease(store, 30)]
    await store.lease_ends.ends.submit(ends)
    await age(sql)
    pruned = await asyncio.gather(*(store.upkeep.prune(8, DAY) for _ in range(5)))
    assert all(count <= 8 for count in pruned)
    assert sum(pruned) + await store.upkeep.prune(100, DAY) == 30
    assert await counts(sql, ["job", "result"]) == {"job": 15, "result": 15}


async def test_prune_passes_over_what_another_one_is_taking(
    store: Store, sql: asyncpg.Connection
) -> None:
    ids = [await create(store) for _ in range(3)]
    await store.lease_ends.ends.submit([end(job.id) for job in await lease(store, 3)])
    await age(sql)
    async with sql.transaction():
        await sql.execute("SELECT FROM result WHERE job_id = $1 FOR UPDATE", ids[0])
        assert await asyncio.wait_for(store.upkeep.prune(10, DAY), 5) == 2
    assert set(await store.jobs.read(ids)) == {ids[0]}


async def test_batch_is_bounded_and_takes_the_oldest(store: Store, sql: asyncpg.Connection) -> None:
    ids = [await create(store) for _ in range(3)]
    await store.lease_ends.ends.submit([end(job.id) for job in await lease(store, 3)])
    await age(sql)
    await sql.execute(
        "UPDATE result SET purge_time = now() - interval '1 day' WHERE job_id = $1", ids[1]
    )
    assert await store.upkeep.prune(1, DAY) == 1
    assert set(await store.jobs.read(ids)) == {ids[0], ids[2]}
    jobs = await store.jobs.read(ids)
    assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
