"""A waiting job whose time is over keeps no unique key: the create that finds it fails it."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace
from opentelemetry import trace

from jobsvc.domain.created_job import Created, Existing
from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.outcome import JOB_EXPIRED, START_DEADLINE
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.conflicts import Resolution, create_or_find
from jobsvc.jobs.create import Creation
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hint, Hints
from jobsvc.store.records import encode_error
from jobsvc.store.store import Store
from tests.store.support.samples import (
    create,
    create_leased,
    new_job,
    tables_of,
    until_blocked,
)
from tests.support.probe import eventually

SETTINGS = Settings()
JOIN = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})
FAIL = replace(JOIN, fail_if_taken=True)
EXPIRED = "UPDATE waiting SET expire_time = now() - interval '1 minute'"
UNSTARTED = "UPDATE waiting SET start_deadline = now() - interval '1 minute'"
ERRORS = encode_error(JOB_EXPIRED), encode_error(START_DEADLINE)
ALIVE = "SELECT count(*) FROM waiting"


def request(key: str = "k", options: RequestedOptions = JOIN, **fields: Any) -> JobRequest:
    return JobRequest(options, None, {}, unique_key=key, **fields)


async def ask(
    store: Store, *requests: JobRequest, owner: Owner | None = None, dry_run: bool = False
) -> Resolution:
    asked = requests or (request(),)
    jobs = [new_job(unique_key=r.unique_key, request_id=r.request_id) for r in asked]
    return await create_or_find(store, SETTINGS, asked, jobs, owner or Owner(), dry_run)


def created_id(resolution: Resolution) -> str:
    (result,) = resolution.results
    assert isinstance(result, Created)
    return result.job.id


def ids_of(resolution: Resolution) -> list[str]:
    return [job.job_id for job in resolution.expired]


def found_id(resolution: Resolution) -> str:
    (result,) = resolution.results
    assert isinstance(result, Existing)
    return result.job.id


@pytest.mark.parametrize(("age", "error"), [(EXPIRED, JOB_EXPIRED), (UNSTARTED, START_DEADLINE)])
@pytest.mark.parametrize("options", [JOIN, FAIL], ids=["join", "fail"])
async def test_overdue_holder_is_failed_and_its_key_is_free(
    store: Store, sql: asyncpg.Connection, age: str, error: JobError, options: RequestedOptions
) -> None:
    holder = await create(store, unique_key="k")
    assert found_id(await ask(store)) == holder
    await sql.execute(age)
    resolution = await ask(store, request(options=options))
    assert ids_of(resolution) == [holder]
    fresh = created_id(resolution)
    assert await tables_of(sql, holder) == {"job", "result"}
    status = (await store.jobs.read([holder]))[holder].status
    assert (status.state, status.error, status.version) == (JobState.FAILED, error, 2)
    assert found_id(await ask(store)) == fresh


async def test_overdue_holder_of_somebody_else_is_no_obstacle(
    store: Store, sql: asyncpg.Connection
) -> None:
    await create(store, unique_key="k", owner=Owner("web", "eve"))
    await sql.execute(EXPIRED)
    assert created_id(await ask(store, owner=Owner("web", "ada")))


async def test_overdue_holder_of_the_same_request_is_returned_as_it_ended(
    store: Store, sql: asyncpg.Connection
) -> None:
    again = str(uuid4())
    holder = await create(store, unique_key="k", request_id=again)
    await sql.execute(EXPIRED)
    resolution = await ask(store, request(request_id=again))
    assert (found_id(resolution), ids_of(resolution)) == (holder, [holder])
    assert resolution.results[0].job.status.state is JobState.FAILED


async def test_running_holder_keeps_its_key_whatever_the_time(
    store: Store, sql: asyncpg.Connection
) -> None:
    holder = await create_leased(store, unique_key="k", ttl_seconds=60.0)
    await sql.execute("UPDATE lease SET expire_time = now() - interval '1 minute'")
    assert found_id(await ask(store)) == holder.job_id


async def test_dry_run_says_so_and_leaves_the_holder(store: Store, sql: asyncpg.Connection) -> None:
    holder = await create(store, unique_key="k")
    await sql.execute(EXPIRED)
    resolution = await ask(store, dry_run=True)
    assert created_id(resolution)
    assert not resolution.expired
    assert await tables_of(sql, holder) == {"job", "waiting", "held_key"}


async def test_create_waits_for_a_sweep_that_has_the_holder(
    store: Store, sql: asyncpg.Connection
) -> None:
    holder = await create(store, unique_key="k")
    await sql.execute(EXPIRED)
    async with asyncio.TaskGroup() as tasks, sql.transaction():
        swept = await sql.fetch(store.database.sql["expire_jobs"], 10, *ERRORS, 60.0, ())
        assert [str(row["job_id"]) for row in swept] == [holder]
        asked = tasks.create_task(ask(store))
        await until_blocked(sql)
    resolution = asked.result()
    assert created_id(resolution)
    assert not resolution.expired


async def test_one_of_two_creates_at_once_ends_the_holder_and_both_get_one_job(
    store: Store, sql: asyncpg.Connection
) -> None:
    holder = await create(store, unique_key="k")
    await sql.execute(EXPIRED)
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.TaskGroup() as tasks, sql.transaction():
        await sql.execute("SELECT FROM waiting FOR UPDATE")
        asked = [tasks.create_task(ask(store)) for _ in range(2)]
        await eventually(lambda: sql.fetchval(blocked), lambda count: count == 2)
    results = [task.result().results[0] for task in asked]
    assert {type(result) for result in results} == {Created, Existing}
    assert len({result.job.id for result in results}) == 1
    assert sorted(ids_of(task.result()) for task in asked) == [[], [holder]]


async def test_creates_and_sweeps_at_once_make_one_job_each_time(
    store: Store, sql: asyncpg.Connection
) -> None:
    await create(store, unique_key="k")
    for _ in range(10):
        await sql.execute(EXPIRED)
        *resolutions, _ = await asyncio.gather(
            *(ask(store) for _ in range(10)), store.upkeep.expire(10, 60.0)
        )
        results = [resolution.results[0] for resolution in resolutions]
        assert len({result.job.id for result in results}) == 1
        assert [type(result) for result in results].count(Created) == 1
        assert await sql.fetchval(ALIVE) == 1


async def test_calls_that_name_the_same_holders_in_any_order_all_succeed(
    store: Store, sql: asyncpg.Connection
) -> None:
    keys = [request(f"k{n}") for n in range(8)]
    await ask(store, *keys)
    for _ in range(5):
        await sql.execute(EXPIRED)
        calls = await asyncio.gather(*(ask(store, *keys[n:], *keys[:n]) for n in range(8)))
        assert sorted(len(call.expired) for call in calls) == [0] * 7 + [8]
        assert await sql.fetchval(ALIVE) == 8


async def test_followers_of_the_holder_are_told(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    holder = await create(store, unique_key="k")
    await sql.execute(EXPIRED)
    told: list[Hint] = []
    hints = Hints(dsn, "test-server")
    hints.listen(told.append)
    due: list[float] = []
    creation = Creation(
        store,
        Catalog(store.queues),
        hints,
        lambda _, seconds: due.append(seconds),
        SETTINGS,
        trace.get_tracer("test"),
    )
    await creation.create(request(), Owner())
    assert told == [Hint(job_ids=(holder,), ready=("q",))]
    # Also when the new job is not ready yet.
    await sql.execute(EXPIRED)
    (second,) = await sql.fetchrow("SELECT job_id::text FROM waiting")
    later = replace(JOIN, schedule_time=datetime(2999, 1, 1, tzinfo=UTC))
    await creation.create_all([request(options=later)], Owner())
    assert told[1:] == [Hint(job_ids=(second,))]
