"""prune_jobs.sql: ended jobs whose retention has passed."""

import asyncio
from uuid import uuid4

import asyncpg

from jobsvc.domain.job import JobState
from jobsvc.domain.outcome import Failure
from jobsvc.domain.owner import Owner
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    counts,
    create,
    create_leased,
    end,
    lease,
    new_job,
    report,
    tables_of,
)


async def age(sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE result SET purge_time = now() - interval '1 minute'")


async def test_pruned_job_leaves_nothing_behind(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, unique_key="k", request_id=uuid4())
    await report(store, lease_id, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store)
    await store.lease_ends.ends.submit_one(end(job.id))
    assert await store.upkeep.prune(10) == 0
    await age(sql)
    assert await store.upkeep.prune(10) == 1
    assert set((await counts(sql)).values()) == {0}
    assert await store.jobs.read([lease_id.job_id]) == {}


async def test_job_that_has_not_ended_is_not_pruned(store: Store, sql: asyncpg.Connection) -> None:
    running = await create_leased(store)
    waiting = await create(store)
    assert await store.upkeep.prune(10) == 0
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
    await store.upkeep.prune(10)
    assert await store.jobs.create(again) is not None


async def test_prunes_at_once_share_the_work(store: Store, sql: asyncpg.Connection) -> None:
    for _ in range(30):
        await create(store)
    ends = [end(job.id) for job in await lease(store, 30)]
    await store.lease_ends.ends.submit(ends)
    await age(sql)
    pruned = await asyncio.gather(*(store.upkeep.prune(8) for _ in range(5)))
    assert all(count <= 8 for count in pruned)
    assert sum(pruned) + await store.upkeep.prune(100) == 30
    assert await counts(sql, ["job", "result"]) == {"job": 0, "result": 0}


async def test_prune_passes_over_what_another_one_is_taking(
    store: Store, sql: asyncpg.Connection
) -> None:
    ids = [await create(store) for _ in range(3)]
    await store.lease_ends.ends.submit([end(job.id) for job in await lease(store, 3)])
    await age(sql)
    async with sql.transaction():
        await sql.execute("SELECT FROM result WHERE job_id = $1 FOR UPDATE", ids[0])
        assert await asyncio.wait_for(store.upkeep.prune(10), 5) == 2
    assert set(await store.jobs.read(ids)) == {ids[0]}


async def test_batch_is_bounded_and_takes_the_oldest(store: Store, sql: asyncpg.Connection) -> None:
    ids = [await create(store) for _ in range(3)]
    await store.lease_ends.ends.submit([end(job.id) for job in await lease(store, 3)])
    await age(sql)
    await sql.execute(
        "UPDATE result SET purge_time = now() - interval '1 day' WHERE job_id = $1", ids[1]
    )
    assert await store.upkeep.prune(1) == 1
    assert set(await store.jobs.read(ids)) == {ids[0], ids[2]}
    jobs = await store.jobs.read(ids)
    assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
