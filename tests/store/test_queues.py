"""Queues: declared once, changed by one at a time, listed by name."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from jobsvc.domain.errors import QueueLimit
from jobsvc.domain.queue import Queue, QueuePolicy
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.store.queues import QueueStore
from jobsvc.store.store import Store
from tests.store.support.samples import until_blocked

FULL = QueuePolicy(
    max_waiting=5,
    input_schema='{"type":"object"}',
    output_schema='{"required":["a"]}',
    lease_seconds=12.5,
    run_policy=RunPolicy(7, 0.5, 60.5, 1.5, 99.5, retention_seconds=0.0, start_within_seconds=0.5),
)


@pytest.fixture
def declared() -> tuple[str, ...]:
    return ()


async def put(store: Store, name: str, policy: QueuePolicy) -> Queue:
    update = await store.queues.update(name, True, lambda _: policy)
    assert update is not None
    return update.queue


async def test_declared_queue_leaves_everything_to_the_server(store: Store) -> None:
    await store.queues.declare(["b", "a", "b"])
    queues = await store.queues.read(["a", "b", "c"])
    assert set(queues) == {"a", "b"}
    assert queues["a"].policy == QueuePolicy()
    assert (queues["a"].pause, queues["a"].revision) == (None, 1)


async def test_declaring_again_changes_nothing(store: Store) -> None:
    before = await put(store, "a", FULL)
    await store.queues.declare(["a"])
    assert (await store.queues.read(["a"]))["a"] == before
    await store.queues.declare([])


async def test_updated_queue_is_as_written(store: Store) -> None:
    queue = await put(store, "a", FULL)
    assert queue.policy == FULL
    assert queue.input_schema_id != queue.output_schema_id
    assert (await store.queues.read(["a"]))["a"] == queue


async def test_change_raises_the_revision_and_no_change_does_not(store: Store) -> None:
    first = await put(store, "a", FULL)
    assert await put(store, "a", FULL) == first
    second = await put(store, "a", replace(FULL, run_policy=RunPolicy(8)))
    assert second.revision == first.revision + 1
    assert second.etag != first.etag
    assert second.update_time > first.update_time
    assert second.create_time == first.create_time
    cleared = await put(store, "a", QueuePolicy())
    assert (cleared.policy, cleared.input_schema_id) == (QueuePolicy(), None)


async def test_missing_queue_is_made_only_when_asked(store: Store) -> None:
    assert await store.queues.update("a", False, lambda _: FULL) is None
    assert await store.queues.read(["a"]) == {}


async def test_refused_change_leaves_everything_as_it_was(store: Store) -> None:
    def refuse(_: Queue) -> QueuePolicy:
        raise LookupError

    before = await put(store, "a", FULL)
    for name in ("a", "new"):
        with pytest.raises(LookupError):
            await store.queues.update(name, True, refuse)
    assert await store.queues.read(["a", "new"]) == {"a": before}


async def test_changes_at_once_come_one_after_the_other(store: Store) -> None:
    def count(queue: Queue) -> QueuePolicy:
        return QueuePolicy(run_policy=RunPolicy((queue.policy.run_policy.max_attempts or 0) + 1))

    await asyncio.gather(*(store.queues.update("a", True, count) for _ in range(12)))
    queue = (await store.queues.read(["a"]))["a"]
    assert (queue.policy.run_policy.max_attempts, queue.revision) == (12, 13)


async def test_schema_is_stored_once(store: Store, sql: asyncpg.Connection) -> None:
    a = await put(store, "a", replace(FULL, output_schema=FULL.input_schema))
    b = await put(store, "b", FULL)
    assert a.input_schema_id == a.output_schema_id == b.input_schema_id
    assert await sql.fetchval("SELECT count(*) FROM payload_schema") == 2
    assert b.output_schema_id is not None
    assert await store.queues.read_schema(b.output_schema_id) == FULL.output_schema


async def test_same_schema_at_once_is_stored_once(store: Store, sql: asyncpg.Connection) -> None:
    queues = await asyncio.gather(*(put(store, f"q{n}", FULL) for n in range(12)))
    assert len({queue.input_schema_id for queue in queues}) == 1
    assert await sql.fetchval("SELECT count(*) FROM payload_schema") == 2


async def test_schema_that_another_call_is_storing_is_waited_for(
    store: Store, sql: asyncpg.Connection
) -> None:
    async with asyncio.TaskGroup() as tasks:
        async with sql.transaction():
            await sql.execute(
                "INSERT INTO payload_schema (digest, definition)"
                " SELECT sha256(convert_to(text, 'UTF8')), text FROM (SELECT $1::text AS text) t",
                FULL.input_schema,
            )
            putting = tasks.create_task(put(store, "a", FULL))
            await until_blocked(sql)
        queue = await putting
    assert queue.policy.input_schema == FULL.input_schema
    assert await sql.fetchval("SELECT count(*) FROM payload_schema") == 2


async def test_known_schema_is_not_written_again(store: Store, sql: asyncpg.Connection) -> None:
    await put(store, "a", FULL)
    before = await sql.fetch("SELECT xmin, ctid FROM payload_schema")
    await put(store, "b", FULL)
    assert await sql.fetch("SELECT xmin, ctid FROM payload_schema") == before
    number = "SELECT last_value FROM pg_sequences WHERE sequencename = 'payload_schema_id_seq'"
    assert await sql.fetchval(number) == 2, "no number is burnt for a schema that is known"


async def test_queues_are_listed_by_name_in_pages(store: Store) -> None:
    names = ["b-1", "a", "b", "a-0", "c"]
    await store.queues.declare(names)
    listed: list[str] = []
    more = True
    while more:
        page, more = await store.queues.list_after(listed[-1] if listed else "", 2, 1)
        assert 1 <= len(page) <= 2
        listed += [queue.name for queue in page]
    assert sorted(listed) == sorted(names)
    assert len(listed) == len(set(listed))
    assert listed == sorted(listed)


async def test_page_ends_where_its_schemas_become_too_large(store: Store) -> None:
    assert await store.queues.list_after("", 9, 100) == ([], False)
    for name, size in (("a", 0), ("b", 200), ("c", 40), ("d", 40), ("e", 0), ("f", 40)):
        schema = f'"{"x" * (size - 2)}"' if size else None
        await put(store, name, QueuePolicy(input_schema=schema, output_schema=schema))
    pages = []
    for first in ("", "a", "b", "d"):
        page, more = await store.queues.list_after(first, 9, 170)
        pages.append(("".join(queue.name for queue in page), more))
        for queue in page:
            assert queue == (await store.queues.read([queue.name]))[queue.name]
    assert pages == [("a", True), ("b", True), ("cde", True), ("ef", False)]
    assert len((await store.queues.list_after("b", 2, 170))[0]) == 2


async def test_no_queue_is_created_beyond_the_limit(store: Store, sql: asyncpg.Connection) -> None:
    few = QueueStore(store.database, max_queues=3)
    await few.declare(["a", "b"])
    with pytest.raises(QueueLimit):
        await few.declare(["c", "d"])
    await few.declare(["b", "c", "c"])
    with pytest.raises(QueueLimit):
        await few.update("d", True, lambda _: FULL)
    # What exists can still be declared and changed.
    await few.declare(["a", "b", "c"])
    assert await few.update("a", True, lambda _: FULL) is not None
    assert await few.update("d", False, lambda _: FULL) is None
    assert await sql.fetchval("SELECT array_agg(name ORDER BY name) FROM queue") == ["a", "b", "c"]
