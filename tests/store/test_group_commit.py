"""Group commit against the real thing: many calls, few transactions."""

import asyncio
import logging

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.domain.lease import Extended, Extension
from jobsvc.store.store import Store
from tests.store.support.samples import counts, create, end, lease, new_job, until_blocked

COUNT = 200


async def transactions(sql: asyncpg.Connection, table: str) -> int:
    """The number of transactions that have written the rows of a table."""
    statements = {
        name: f"SELECT count(DISTINCT xmin::text) FROM {name}"
        for name in ("job", "lease", "result")
    }
    number: int = await sql.fetchval(statements[table])
    return number


async def test_calls_at_once_share_commits(store: Store, sql: asyncpg.Connection) -> None:
    await store.queues.declare(["q"])
    created = await asyncio.gather(*(store.jobs.create(new_job()) for _ in range(COUNT)))
    assert all(created)
    assert await transactions(sql, "job") <= 5

    ids = [job.id for job in await lease(store, COUNT)]
    extended = await asyncio.gather(
        *(store.leases.extensions.submit_one(Extension(i)) for i in ids)
    )
    assert all(isinstance(result, Extended) for result in extended)
    assert await transactions(sql, "lease") <= 5

    assert all(await asyncio.gather(*(store.lease_ends.ends.submit_one(end(i)) for i in ids)))
    assert await transactions(sql, "result") <= 5
    assert await counts(sql, ["lease", "result"]) == {"lease": 0, "result": COUNT}


async def test_small_jobs_share_no_commit_with_large_ones(
    store: Store, sql: asyncpg.Connection
) -> None:
    large = f'{{"a": "{"x" * 20_000}"}}'
    jobs = [new_job(input=text) for text in (large, None) for _ in range(20)]
    assert all(await asyncio.gather(*(store.jobs.create(job) for job in jobs)))
    commits = "SELECT DISTINCT xmin::text AS id FROM job WHERE (length(input) > 9) IS TRUE = $1"
    of_large, of_small = [
        {row["id"] for row in await sql.fetch(commits, is_large)} for is_large in (True, False)
    ]
    assert len(of_large) < 20
    assert of_small
    assert not of_large & of_small


async def test_calls_one_after_the_other_do_not_wait_for_others(
    store: Store, sql: asyncpg.Connection
) -> None:
    for _ in range(5):
        await store.jobs.create(new_job())
    assert await transactions(sql, "job") == 5


async def test_deadlock_with_another_session_does_not_escape(
    store: Store, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobsvc")
    for _ in range(2):
        await create(store)
    ids = sorted((job.id for job in await lease(store, 2)), key=lambda i: i.job_id)
    lock = "SELECT FROM lease WHERE lease_id = $1 FOR UPDATE"
    # The other session waits long: PostgreSQL aborts the store's statement.
    await sql.execute("SET deadlock_timeout = '1min'")
    async with asyncio.TaskGroup() as tasks:
        async with sql.transaction():
            await sql.execute(lock, ids[1].number)
            ending = tasks.create_task(store.lease_ends.ends.submit([end(i) for i in ids]))
            await until_blocked(sql)
            # It holds the first and waits for the second; now the circle closes.
            assert await sql.fetch(f"{lock} SKIP LOCKED", ids[0].number) == []
            await sql.execute(lock, ids[0].number)
        assert await ending == [True, True]
    assert "is run again" in caplog.text, "there was a deadlock"


async def test_terminated_sessions_are_unavailable_and_come_back(
    store: Store, sql: asyncpg.Connection
) -> None:
    await create(store)
    async with asyncio.TaskGroup() as tasks, sql.transaction():
        await sql.execute("LOCK TABLE job IN EXCLUSIVE MODE")
        creating = tasks.create_task(store.jobs.creates.submit([new_job(), new_job()]))
        await until_blocked(sql)
        await sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        results = await creating
    assert [type(result) for result in results] == [DatabaseUnavailable] * 2
    # Not tried again one by one, which the lock would have let fail later.
    assert all("does not answer" in f"{result}" for result in results)
    assert await counts(sql, ["job", "waiting"]) == {"job": 1, "waiting": 1}
    assert await store.jobs.create(new_job()) is not None
