"""prune_schemas.sql: a schema goes a day after the last queue had it, unless a job still has it."""

import asyncio

import asyncpg
import pytest

from jobsvc.domain.queue import QueuePolicy
from jobsvc.store.store import Store
from tests.store.support.samples import create, until_blocked

_MAX_JOBS = 3


async def put(store: Store, definition: str, queue: str = "q") -> int:
    """Declares a queue with a schema, and returns the schema's id."""
    policy = QueuePolicy(output_schema=definition)
    update = await store.queues.update(queue, True, lambda _: policy)
    assert update is not None
    assert update.queue.output_schema_id is not None
    return update.queue.output_schema_id


async def prune(store: Store) -> int:
    return await store.upkeep.prune_schemas(_MAX_JOBS)


async def age(sql: asyncpg.Connection) -> None:
    """Makes the marks two days older."""
    await sql.execute("UPDATE payload_schema SET unused_since = unused_since - interval '2 days'")


async def known(sql: asyncpg.Connection) -> list[int]:
    return [row["id"] for row in await sql.fetch("SELECT id FROM payload_schema ORDER BY id")]


async def marked(sql: asyncpg.Connection) -> list[int]:
    rows = await sql.fetch("SELECT id FROM payload_schema WHERE unused_since IS NOT NULL")
    return [row["id"] for row in rows]


@pytest.fixture
async def unused(store: Store, sql: asyncpg.Connection) -> int:
    """A schema that a queue has had, and is not known for any more, and one that it has."""
    schema_id = await put(store, '{"title": "a"}')
    await put(store, '{"title": "b"}')
    await sql.execute("DELETE FROM replaced_schema")
    return schema_id


async def test_schema_goes_a_day_after_it_was_seen_unused(
    store: Store, sql: asyncpg.Connection, unused: int
) -> None:
    for _ in range(2):
        assert await prune(store) == 0
        assert await marked(sql) == [unused]
    await age(sql)
    assert await prune(store) == 1
    assert unused not in await known(sql)
    assert len(await known(sql)) == 1


async def test_schema_that_a_queue_has_or_has_had_stays(
    store: Store, sql: asyncpg.Connection
) -> None:
    for title in ("a", "b"):
        await put(store, f'{{"title": "{title}"}}')
    assert await prune(store) == 0
    assert await marked(sql) == []


async def test_schema_that_is_declared_again_is_used_again(
    store: Store, sql: asyncpg.Connection, unused: int
) -> None:
    await prune(store)
    await age(sql)
    assert await put(store, '{"title": "a"}', "other") == unused
    assert await marked(sql) == []
    assert await prune(store) == 0
    assert unused in await known(sql)


async def test_mark_that_came_too_late_is_taken_back(
    store: Store, sql: asyncpg.Connection, unused: int
) -> None:
    await put(store, '{"title": "a"}', "other")
    await sql.execute("UPDATE payload_schema SET unused_since = now() - interval '2 days'")
    assert await prune(store) == 0
    assert await marked(sql) == []


async def test_schema_of_a_job_stays(store: Store, sql: asyncpg.Connection, unused: int) -> None:
    await create(store, output_schema_id=unused)
    await sql.execute("UPDATE job SET create_time = now() - interval '1 week'")
    await prune(store)
    await age(sql)
    assert await prune(store) == 0
    await sql.execute("DELETE FROM job")
    assert await prune(store) == 1


async def test_schema_stays_while_jobs_are_too_many_to_be_read(
    store: Store, sql: asyncpg.Connection, unused: int
) -> None:
    for _ in range(_MAX_JOBS + 1):
        await create(store)
    await sql.execute("UPDATE job SET create_time = now() - interval '1 week'")
    await prune(store)
    await age(sql)
    assert await prune(store) == 0
    # Those that were created later cannot have it.
    await sql.execute("UPDATE job SET create_time = now() WHERE id = (SELECT id FROM job LIMIT 1)")
    assert await prune(store) == 1


async def test_schema_that_a_queue_is_taking_stays(
    store: Store, sql: asyncpg.Connection, unused: int
) -> None:
    await prune(store)
    await age(sql)
    async with sql.transaction():
        await sql.execute("UPDATE payload_schema SET unused_since = NULL WHERE id = $1", unused)
        assert await prune(store) == 0
    assert unused in await known(sql)


async def test_schema_that_is_being_removed_is_stored_anew(
    store: Store, sql: asyncpg.Connection, unused: int
) -> None:
    await prune(store)
    async with asyncio.TaskGroup() as tasks, sql.transaction():
        await sql.execute("DELETE FROM payload_schema WHERE id = $1", unused)
        putting = tasks.create_task(put(store, '{"title": "a"}', "other"))
        await until_blocked(sql)
    assert await putting in await known(sql)
    assert await putting != unused


async def test_a_queue_is_known_for_its_last_fifty_schemas(
    store: Store, sql: asyncpg.Connection
) -> None:
    ids = [await put(store, f'{{"title": "{n}"}}') for n in range(55)]
    rows = await sql.fetch("SELECT schema_id FROM replaced_schema ORDER BY schema_id")
    assert [row["schema_id"] for row in rows] == ids[4:54]
