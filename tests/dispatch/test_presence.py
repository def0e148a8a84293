"""Workers of unary calls are remembered for a while, and not without bound."""

import asyncpg

from jobsvc.dispatch.presence import MAX_UNARY, SAVE_SECONDS, Presence
from jobsvc.domain.worker import SeenWorker
from jobsvc.store.store import Store


def _worker(worker_id: str) -> SeenWorker:
    return SeenWorker(worker_id, ("q",), 1, 0, "", "", {})


async def _saved(sql: asyncpg.Connection) -> set[str]:
    return {row["worker_id"] for row in await sql.fetch("SELECT worker_id FROM worker")}


async def test_workers_of_unary_calls_are_remembered_up_to_a_number(
    store: Store, sql: asyncpg.Connection
) -> None:
    presence = Presence(store)
    presence.saw(_worker("first"))
    await presence.save([])
    presence.saw(_worker("second"))
    for number in range(MAX_UNARY - 1):
        presence.saw(_worker(f"w{number}"))
    await presence.save([])
    assert await _saved(sql) == {"second", *(f"w{n}" for n in range(MAX_UNARY - 1))}


async def test_worker_that_calls_no_more_leaves_no_row(
    store: Store, sql: asyncpg.Connection
) -> None:
    seconds = 0.0
    presence = Presence(store, lambda: seconds)
    presence.saw(_worker("gone"))
    await presence.save([])
    seconds = SAVE_SECONDS
    presence.saw(_worker("here"))
    await presence.save([])
    assert await _saved(sql) == {"gone", "here"}
    seconds = 2 * SAVE_SECONDS
    await presence.save([])
    assert await _saved(sql) == {"here"}
