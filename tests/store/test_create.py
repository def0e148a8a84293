"""create_jobs.sql: a job and its queue entry, or nothing."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable, NotStorable
from jobsvc.domain.job import JobState, NewJob
from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.lease import Slot
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.store.jobs import KeyHolder, KeyTaken
from jobsvc.store.store import Store
from tests.store.support.samples import (
    COMPLETED,
    asked_for,
    counts,
    create,
    create_leased,
    end,
    new_job,
    tables_of,
    until_blocked,
)

OPTIONS: dict[str, Any] = {
    "owner": Owner("web", "ada", b"hash"),
    "input": '{ "a": 1.50 }',
    "priority": -7,
    "run_policy": RunPolicy(5, 0.25, 90.5, 1.5, 12.5, 99.5, 60.5),
    "unique_key": "key",
    "labels": {"tenant": "ä", "b": ""},
    "output_schema_id": None,
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "a=b",
    "request_id": str(uuid4()),
    "request_digest": b"\0digest",
}
FULL = new_job(**OPTIONS)


async def test_created_job_waits_in_its_queue(store: Store, sql: asyncpg.Connection) -> None:
    create_time = await store.jobs.create(FULL)
    assert await tables_of(sql, FULL.id) == {"job", "waiting", "held_key"}
    job = (await store.jobs.read([FULL.id]))[FULL.id]
    same = ("queue", "owner", "input", "priority", "run_policy", "labels", "unique_key")
    same += ("traceparent", "tracestate", "request_id")
    same += ("request_digest", "schedule_time", "expire_time")
    assert {n: getattr(job, n) for n in same} == {n: asked_for(FULL, n) for n in same}
    assert (job.status.state, job.status.version, job.status.attempt) == (JobState.PENDING, 1, 0)
    assert job.create_time == create_time == job.status.update_time == job.status.run_time


async def test_rows_of_a_new_job_agree(store: Store, sql: asyncpg.Connection) -> None:
    await store.jobs.create(new_job(**OPTIONS, ttl_seconds=60.0))
    row = await sql.fetchrow(
        "SELECT job.queue = waiting.queue AND waiting.rank = -job.priority"
        " AND waiting.keyed AND waiting.expire_time = job.expire_time"
        " AND held_key.queue = job.queue AND held_key.unique_key = job.unique_key"
        " AND waiting.redeliveries = 0 AND waiting.released_lease IS NULL"
        " FROM job JOIN waiting ON job_id = id JOIN held_key USING (job_id)"
    )
    assert row is not None
    assert row[0] is True


async def test_schedule_time_counts_only_in_the_future(store: Store) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    past = soon - timedelta(hours=2)
    late, early = new_job(schedule_time=soon), new_job(schedule_time=past)
    for new, run_time in ((late, soon), (early, None)):
        create_time = await store.jobs.create(new)
        assert create_time is not None
        job = (await store.jobs.read([new.id]))[new.id]
        assert job.status.run_time == (run_time or create_time) == new.options.run_time(create_time)


@pytest.mark.parametrize("ttl", [60.0, 0.000001, 0.0000015, 1.0000025, 3155760000.0, 86399.9999999])
async def test_ttl_counts_from_the_creation(store: Store, ttl: float) -> None:
    new = new_job(ttl_seconds=ttl)
    create_time = await store.jobs.create(new)
    assert create_time is not None
    job = (await store.jobs.read([new.id]))[new.id]
    assert job.expire_time is not None
    assert job.expire_time == new.options.expires_at(create_time)
    assert (job.expire_time - create_time).total_seconds() == pytest.approx(ttl, abs=1e-6)


async def test_jobs_of_a_batch_leave_in_its_order(store: Store) -> None:
    await store.queues.declare(["q"])
    options = new_job().options
    jobs = [NewJob(job_id, options, Owner(), None) for job_id in new_job_ids(1000)]
    async with store.database.transaction() as connection:
        await store.jobs.create_all(connection, jobs)
    leased = await store.claims.lease("q", [Slot("w", 30.0)] * 1000)
    assert [job.id.job_id for job in leased] == [job.id for job in jobs]


async def test_id_that_was_drawn_before_changes_no_job(
    store: Store, sql: asyncpg.Connection
) -> None:
    first, others = new_job(input='{"first": 1}'), [new_job() for _ in range(5)]
    assert await store.jobs.create(first) is not None
    second = new_job(id=first.id, owner=Owner("web", "eve", None), input='{"second": 2}')
    results = await asyncio.gather(
        *map(store.jobs.create, [*others, second]), return_exceptions=True
    )
    assert isinstance(results.pop(), KeyTaken)
    assert all(isinstance(result, datetime) for result in results), "its neighbours in the batch"
    kept = (await store.jobs.read([first.id]))[first.id]
    assert (kept.owner, kept.input) == (first.owner, first.input)
    assert await counts(sql, ["job", "waiting"]) == {"job": 6, "waiting": 6}


async def test_request_id_makes_one_job(store: Store, sql: asyncpg.Connection) -> None:
    request_id = str(uuid4())
    first, second = new_job(request_id=request_id), new_job(request_id=request_id, unique_key="k")
    assert await store.jobs.create(first) is not None
    assert await store.jobs.create(second) is None
    assert await tables_of(sql, second.id) == set()
    async with store.database.connection() as connection:
        found = await store.jobs.find_requests([("", request_id), ("", str(uuid4()))], connection)
    assert found == {("", request_id): first.id}


async def test_request_id_is_within_a_service(store: Store) -> None:
    request_id = str(uuid4())
    for service in ("web", "cron"):
        job = new_job(request_id=request_id, owner=Owner(service))
        assert await store.jobs.create(job) is not None


async def test_request_id_twice_in_one_statement_makes_one_job(
    store: Store, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    jobs = [new_job(request_id=request_id), new_job(), new_job(request_id=request_id)]
    async with store.database.transaction() as connection:
        now, (first, other, second) = await store.jobs.create_all(connection, jobs)
    assert first == now
    assert other is not None
    assert second is None
    assert await counts(sql, ["job", "waiting"]) == {"job": 2, "waiting": 2}


async def test_request_id_a_hundred_times_at_once_makes_one_job(
    store: Store, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    jobs = [new_job(request_id=request_id) for _ in range(100)]
    results = await asyncio.gather(*map(store.jobs.create, jobs))
    assert len([result for result in results if result]) == 1
    assert await counts(sql, ["job", "waiting"]) == {"job": 1, "waiting": 1}


async def test_taken_key_writes_nothing_at_all(store: Store, sql: asyncpg.Connection) -> None:
    holder = await create(store, unique_key="k")
    before = await counts(sql)
    with pytest.raises(KeyTaken):
        await store.jobs.create(new_job(unique_key="k"))
    with pytest.raises(KeyTaken):
        async with store.database.transaction() as connection:
            await store.jobs.create_all(connection, [new_job(), new_job(unique_key="k")])
    assert await counts(sql) == before
    async with store.database.connection() as connection:
        keys = [("q", "k"), ("p", "k"), ("q", "other")]
        assert await store.jobs.find_key_holders(keys, connection) == {
            ("q", "k"): KeyHolder(holder, overdue=False)
        }


async def test_taken_key_is_no_defect_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await create(store, unique_key="secret-key")
    results = await store.jobs.creates.submit([new_job(unique_key="secret-key"), new_job()])
    assert isinstance(results[0], asyncpg.UniqueViolationError)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "secret-key" not in caplog.text
    await store.jobs.creates.submit([new_job(priority=101)])
    assert "cannot store" in caplog.text


async def test_key_twice_in_one_statement_writes_nothing(
    store: Store, sql: asyncpg.Connection
) -> None:
    with pytest.raises(KeyTaken):
        async with store.database.transaction() as connection:
            await store.jobs.create_all(connection, [new_job(unique_key="k") for _ in range(2)])
    assert set((await counts(sql)).values()) == {0}


async def test_key_is_within_a_queue(store: Store) -> None:
    await create(store, unique_key="k")
    await create(store, queue="p", unique_key="k")


async def test_key_is_held_until_the_job_ends(store: Store) -> None:
    lease_id = await create_leased(store, unique_key="k")
    with pytest.raises(KeyTaken):
        await store.jobs.create(new_job(unique_key="k"))
    await store.lease_ends.ends.submit_one(end(lease_id, COMPLETED))
    assert await store.jobs.create(new_job(unique_key="k")) is not None


async def test_taken_key_spoils_no_neighbour(store: Store, sql: asyncpg.Connection) -> None:
    await create(store, unique_key="k")
    jobs = [new_job(unique_key="k" if number == 3 else None) for number in range(7)]
    results = await store.jobs.creates.submit(jobs)
    failed = [isinstance(result, Exception) for result in results]
    assert failed == [number == 3 for number in range(7)]
    assert await counts(sql, ["job", "waiting"]) == {"job": 7, "waiting": 7}


async def test_job_that_cannot_be_stored_spoils_no_neighbour(
    store: Store, sql: asyncpg.Connection
) -> None:
    jobs = [new_job(), new_job(input='{"a": "\0"}'), new_job(priority=101), new_job()]
    results = await store.jobs.creates.submit(jobs)
    assert [isinstance(result, Exception) for result in results] == [False, True, True, False]
    assert await counts(sql, ["job", "waiting"]) == {"job": 2, "waiting": 2}
    assert not any(isinstance(result, DatabaseUnavailable) for result in results)


async def test_batch_that_deadlocks_with_another_call_is_told_to_try_again(
    store: Store, sql: asyncpg.Connection
) -> None:
    await sql.execute("SET deadlock_timeout = '1min'")
    take = "INSERT INTO held_key VALUES ('q', $1, gen_random_uuid())"

    async def create_both() -> None:
        async with store.database.transaction() as connection:
            await store.jobs.create_all(connection, [new_job(unique_key=key) for key in "ab"])

    transaction = sql.transaction()
    await transaction.start()
    await sql.execute(take, "b")
    creating = asyncio.ensure_future(create_both())
    await until_blocked(sql)
    await sql.execute(take, "a")
    await transaction.rollback()
    with pytest.raises(KeyTaken):
        await creating
    assert set((await counts(sql)).values()) == {0}


async def test_database_keeps_the_bounds_of_the_contract(
    store: Store, sql: asyncpg.Connection
) -> None:
    for job in (new_job(priority=-101), new_job(max_attempts=0)):
        with pytest.raises(NotStorable, match="23514"):
            await store.jobs.create(job)
    assert await counts(sql, ["job"]) == {"job": 0}
