"""extend_leases.sql: fenced, capped, and the way progress comes in."""

import asyncio

import asyncpg
import pytest
from msgspec.structs import replace

from jobsvc.domain.job import JobStatus
from jobsvc.domain.lease import Extended, Extension, LeaseId
from jobsvc.store.store import Store
from tests.store.support.samples import RETRY, create, create_leased, end, lease


async def extend(store: Store, extension: Extension) -> Extended | None:
    return await store.leases.extensions.submit_one(extension)


async def status(store: Store, lease_id: LeaseId) -> JobStatus:
    return (await store.jobs.read([lease_id.job_id]))[lease_id.job_id].status


async def test_extension_begins_now(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    await sql.execute("UPDATE lease SET until = until - interval '29 seconds'")
    extended = await extend(store, Extension(lease_id))
    assert extended is not None
    assert extended.expires_in_seconds == pytest.approx(30, abs=2)
    assert (extended.cancel_requested, extended.cancel_reason) == (False, "")
    extended = await extend(store, Extension(lease_id, 77.0))
    assert extended is not None
    assert extended.expires_in_seconds == pytest.approx(77, abs=2)


async def test_extension_confirms_the_lease(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    assert await sql.fetchval("SELECT confirmed FROM lease") is False
    await extend(store, Extension(lease_id))
    assert await sql.fetchval("SELECT confirmed FROM lease") is True


async def test_extension_never_passes_the_deadline(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store, attempt_timeout_seconds=40.0)
    extended = await extend(store, Extension(lease_id, 3600.0))
    assert extended is not None
    assert extended.expires_in_seconds <= 40
    assert await sql.fetchval("SELECT until = deadline FROM lease")


async def test_extension_revives_a_lease_that_nobody_has_ended(
    store: Store, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store)
    await sql.execute("UPDATE lease SET until = now() - interval '1 hour'")
    assert await extend(store, Extension(lease_id)) is not None
    assert await store.leases.lapsed(10) == []


async def test_stale_lease_is_not_extended(store: Store, sql: asyncpg.Connection) -> None:
    stale = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(stale, RETRY))
    assert await extend(store, Extension(stale, 77.0)) is None
    (job,) = await lease(store)
    current = job.id
    assert await extend(store, Extension(stale, 77.0, 50, "old")) is None
    assert await extend(store, Extension(LeaseId.of(current.job_id, current.number + 1))) is None
    row = await sql.fetchrow("SELECT confirmed, progress_percent, until - start_time FROM lease")
    assert row is not None
    assert tuple(row)[:2] == (False, None)
    assert row[2].total_seconds() == 30


async def test_foreign_worker_cannot_extend(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    assert await extend(store, Extension(lease_id, worker_id="other")) is None
    assert await sql.fetchval("SELECT confirmed FROM lease") is False
    assert await extend(store, Extension(lease_id, worker_id="w")) is not None


async def test_plain_extension_leaves_the_status_alone(store: Store) -> None:
    lease_id = await create_leased(store)
    await extend(store, Extension(lease_id, percent=40, message="nearly"))
    before = await status(store, lease_id)
    await extend(store, Extension(lease_id))
    after = await status(store, lease_id)
    assert after.lease_expire_time != before.lease_expire_time
    assert replace(after, lease_expire_time=before.lease_expire_time) == before


async def test_progress_raises_the_version(store: Store) -> None:
    lease_id = await create_leased(store)
    before = await status(store, lease_id)
    await extend(store, Extension(lease_id, percent=40, message="nearly"))
    after = await status(store, lease_id)
    assert (after.progress_percent, after.progress_message) == (40, "nearly")
    assert after.version == before.version + 1
    assert after.update_time > before.update_time
    await extend(store, Extension(lease_id, percent=0))
    last = await status(store, lease_id)
    assert (last.progress_percent, last.progress_message, last.version) == (0, "", 4)


async def test_cancel_request_is_passed_on(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    await sql.execute("UPDATE lease SET cancel_request_time = now(), cancel_reason = 'enough'")
    extended = await extend(store, Extension(lease_id))
    assert extended is not None
    assert (extended.cancel_requested, extended.cancel_reason) == (True, "enough")


async def test_batch_answers_for_each_lease_in_order(store: Store) -> None:
    for _ in range(5):
        await create(store)
    jobs = await lease(store, 5)
    extensions = [Extension(job.id, 100.0 + n) for n, job in enumerate(jobs)]
    extensions.insert(2, Extension(LeaseId.of(jobs[0].id.job_id, 10**12)))
    extensions.reverse()
    results = await store.leases.extensions.submit(extensions)
    seconds = [round(r.expires_in_seconds) if isinstance(r, Extended) else None for r in results]
    assert seconds == [104, 103, 102, None, 101, 100]


async def test_lease_named_twice_keeps_the_last_extension_and_the_last_progress(
    store: Store,
) -> None:
    lease_id = await create_leased(store)
    extensions = [
        Extension(lease_id, 50.0, 10, "first"),
        Extension(lease_id, 60.0, 20, "second"),
        Extension(lease_id, 70.0),
    ]
    results = await store.leases.extensions.submit(extensions)
    assert all(isinstance(r, Extended) and round(r.expires_in_seconds) == 70 for r in results)
    read = await status(store, lease_id)
    assert (read.progress_percent, read.progress_message) == (20, "second")


@pytest.mark.parametrize("backwards", [False, True])
async def test_foreign_worker_in_the_same_batch_harms_nobody(store: Store, backwards: bool) -> None:
    lease_id = await create_leased(store)
    own, foreign = Extension(lease_id, worker_id="w"), Extension(lease_id, 99.0, 7, "", "other")
    extensions = [foreign, own] if backwards else [own, foreign]
    results = dict(
        zip(
            (extension.worker_id for extension in extensions),
            await store.leases.extensions.submit(extensions),
            strict=True,
        )
    )
    assert isinstance(results["w"], Extended)
    assert results["other"] is None
    assert (await status(store, lease_id)).progress_percent is None


async def test_extensions_at_once_do_not_deadlock(store: Store) -> None:
    for _ in range(40):
        await create(store)
    ids = [job.id for job in await lease(store, 40)]
    pieces = [ids, ids[::-1], ids[10:30], ids[30:] + ids[:10]]
    results = await asyncio.gather(
        *(store.leases.extensions.submit([Extension(i) for i in piece]) for piece in pieces)
    )
    assert all(isinstance(r, Extended) for part in results for r in part)
