"""With a synchronous standby, what is answered is there after a failover, also what was only found.

A commit whose wait is cancelled can be seen at the primary, and may be missing on the standby.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from jobsvc.domain.created_job import Existing
from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import Success
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.conflicts import create_or_find
from jobsvc.settings import Settings
from jobsvc.store.migrate import migrate
from jobsvc.store.store import Store, open_store
from tests.store.support.samples import TABLES, create_leased, end, new_job
from tests.support.probe import eventually
from tests.support.standby import Pair, pair

JOIN = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})
WRITTEN = "SELECT pg_current_wal_insert_lsn()::text"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Pair]:
    async with pair() as servers:
        await migrate(servers.primary.dsn)
        await servers.make_synchronous()
        yield servers


@pytest.fixture
async def servers(running: Pair) -> AsyncIterator[Pair]:
    """A primary whose commits wait for its standby."""
    yield running
    await running.mend()
    await running.caught_up()


@pytest.fixture
async def store(servers: Pair) -> AsyncIterator[Store]:
    # As a role may have it: PostgreSQL would not send the warning.
    dsn = f"{servers.primary.dsn}?options=-cclient_min_messages%3Derror"
    async with open_store(dsn, "s", 4, 10, 10) as opened:
        await opened.queues.declare(["q"])
        await servers.primary.execute(f"TRUNCATE {', '.join(f'jobsvc.{t}' for t in TABLES)}")
        yield opened


async def written_here_only(servers: Pair, write: Coroutine[Any, Any, object]) -> None:
    """Runs a write whose wait for the standby is cancelled: it is not confirmed."""
    await servers.cut()
    task = asyncio.create_task(write)
    [pid] = await servers.waiting()
    await servers.primary.fetchval(f"SELECT pg_cancel_backend({pid})")
    with pytest.raises(DatabaseUnavailable):
        await task


async def waited(servers: Pair, read: Coroutine[Any, Any, Any]) -> Any:
    """Returns the answer of a read that is given only when the standby has everything."""
    task = asyncio.create_task(read)
    await servers.waiting()
    assert not task.done()
    await servers.mend()
    answer = await asyncio.wait_for(task, 10)
    await servers.caught_up()
    return answer


async def on_standby(servers: Pair, table: str, job_id: str) -> bool:
    rows = f"SELECT count(*) FROM jobsvc.{table} WHERE {'id' if table == 'job' else 'job_id'} = "
    assert await servers.primary.fetchval(f"{rows}'{job_id}'") == 1
    return await servers.standby.fetchval(f"{rows}'{job_id}'") == 1


async def test_repeated_create_confirms_only_what_the_standby_has(
    servers: Pair, store: Store
) -> None:
    request_id, digest = new_job_id(), b"d"
    job = new_job(request_id=request_id, request_digest=digest)
    await written_here_only(servers, store.jobs.create(job))
    assert not await on_standby(servers, "job", job.id)
    repeated = JobRequest(JOIN, None, {}, request_id=request_id, request_digest=digest)
    new = new_job(request_id=request_id, request_digest=digest)
    again = create_or_find(store, Settings(), [repeated], [new], Owner())
    [result] = (await waited(servers, again)).results
    assert isinstance(result, Existing)
    assert result.job.id == job.id
    assert await on_standby(servers, "job", job.id)


async def test_holder_of_a_key_is_named_only_when_the_standby_has_it(
    servers: Pair, store: Store
) -> None:
    job = new_job(unique_key="k")
    await written_here_only(servers, store.jobs.create(job))
    other = create_or_find(
        store, Settings(), [JobRequest(JOIN, None, {}, unique_key="k")], [new_job()], Owner()
    )
    [result] = (await waited(servers, other)).results
    assert isinstance(result, Existing)
    assert await on_standby(servers, "job", job.id)


async def test_repeated_outcome_is_confirmed_only_when_the_standby_has_it(
    servers: Pair, store: Store
) -> None:
    lease_id = await create_leased(store)
    ended = store.lease_ends.ends.submit_one(end(lease_id))
    await written_here_only(servers, ended)
    assert not await on_standby(servers, "result", lease_id.job_id)
    again = store.lease_ends.were_recorded([(lease_id, Success())])
    assert await waited(servers, again) == [True]
    assert await on_standby(servers, "result", lease_id.job_id)


async def test_status_is_shown_only_when_the_standby_has_it(servers: Pair, store: Store) -> None:
    job = new_job()
    await written_here_only(servers, store.jobs.create(job))
    read = store.shared_reads.read([job.id], False, False)
    assert job.id in await waited(servers, read)
    assert await on_standby(servers, "job", job.id)


async def test_read_by_sessions_that_write_nothing_waits_too(servers: Pair, store: Store) -> None:
    job = new_job()
    await written_here_only(servers, store.jobs.create(job))
    async with open_store(
        f"{servers.primary.dsn}?options=-cdefault_transaction_read_only%3Don", "s", 2, 10, 10
    ) as reader:
        assert job.id in await waited(servers, reader.jobs.read([job.id]))


async def test_standby_that_serves_reads_waits_for_nobody(servers: Pair, store: Store) -> None:
    job = new_job()
    await store.jobs.create(job)
    await servers.caught_up()
    await servers.standby.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await servers.standby.execute("SELECT pg_reload_conf()")
    named = "SELECT current_setting('synchronous_standby_names')"
    await eventually(lambda: servers.standby.fetchval(named), lambda name: name == "*")
    async with open_store(servers.standby.dsn, "s", 2, 10, 10) as reader:
        assert job.id in await reader.jobs.read([job.id])


@pytest.mark.parametrize("waits", ["local", "off"])
async def test_nothing_is_written_to_read_where_no_commit_waits(
    servers: Pair, store: Store, waits: str
) -> None:
    job = new_job()
    await store.jobs.create(job)
    async with open_store(
        f"{servers.primary.dsn}?options=-csynchronous_commit%3D{waits}", "s", 2, 10, 10
    ) as reader:
        await reader.jobs.read([job.id])
        before = await servers.primary.fetchval(WRITTEN)
        await reader.jobs.read([job.id])
        await reader.lease_ends.were_recorded([(LeaseId.of(job.id, 1), Success())])
        assert await servers.primary.fetchval(WRITTEN) == before


async def test_connection_serves_on_after_a_cancelled_wait(servers: Pair, store: Store) -> None:
    await written_here_only(servers, store.jobs.create(new_job()))
    await servers.mend()
    assert await store.jobs.create(new_job()) is not None
    assert not store.database.troubles
