"""What a replica keeps of queues and their schemas is bounded, whatever callers declare."""

import json

from jobsvc.domain.queue import QueuePolicy
from jobsvc.queues.catalog import Catalog
from jobsvc.store.store import Store


def _schema(characters: int, name: str) -> str:
    """A schema of about this length."""
    return json.dumps({"title": name, "description": "x" * characters})


async def _put(store: Store, name: str, definition: str) -> int:
    """Declares a queue, and returns the id of its schema."""
    policy = QueuePolicy(input_schema=definition)
    assert await store.queues.update(name, True, lambda _: policy) is not None
    schema_id = (await store.queues.read([name]))[name].input_schema_id
    assert schema_id is not None
    return schema_id


async def test_known_queue_comes_without_the_text_of_its_schema(store: Store) -> None:
    schema_id = await _put(store, "q", _schema(10, "a"))
    queue = await Catalog(store.queues).queue("q")
    assert queue.input_schema_id == schema_id
    assert queue.policy.input_schema is None


async def test_schemas_are_kept_up_to_so_many_characters(store: Store) -> None:
    catalog = Catalog(store.queues)
    large = [await _put(store, f"q{n}", _schema(1_000_000, f"{n}")) for n in range(9)]
    first = await catalog.schema(large[0])
    for schema_id in large[1:8]:
        await catalog.schema(schema_id)
    assert await catalog.schema(large[0]) is first, "eight fit"
    second = await catalog.schema(large[1])
    await catalog.schema(large[0])
    await catalog.schema(large[8])
    assert await catalog.schema(large[0]) is first, "used last but one"
    for schema_id in large[2:9]:
        await catalog.schema(schema_id)
    assert await catalog.schema(large[1]) is not second, "used longest ago"
