"""The duty that goes on with forced removals of queues whose caller has left."""

import asyncpg
import pytest

from jobsvc.queues.control import QueueControl
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.queue_control import FIRST_ID
from jobsvc.store.store import Store
from jobsvc.upkeep.removals import GIVEN_UP_SECONDS, Removals
from tests.store.support.samples import COMPLETED, counts, create, create_leased, end


@pytest.fixture
def control(store: Store, dsn: str) -> QueueControl:
    return QueueControl(store, Hints(dsn, "test-server"), Settings())


async def _close(store: Store, sql: asyncpg.Connection, seconds_ago: float) -> None:
    """What is left of a removal whose caller left at once."""
    await store.queue_control.close("q", lambda _: None)
    await sql.execute(
        "UPDATE queue SET delete_time = delete_time - $1 * interval '1 second'", seconds_ago
    )


async def _names(sql: asyncpg.Connection) -> list[str]:
    return [row["name"] for row in await sql.fetch("SELECT name FROM queue ORDER BY name")]


async def test_removal_that_was_given_up_is_ended(
    store: Store, sql: asyncpg.Connection, control: QueueControl
) -> None:
    other = await create(store, queue="other")
    await store.lease_ends.ends.submit_one(end(await create_leased(store), COMPLETED))
    await create_leased(store)
    await create(store)
    await _close(store, sql, GIVEN_UP_SECONDS + 1)

    assert await Removals(store.queue_control, control).run_once() == 3

    assert await _names(sql) == ["other"]
    assert (await counts(sql))["job"] == 1
    assert list(await store.jobs.read([other], False, False)) == [other]


async def test_removal_that_has_just_begun_is_left_to_its_caller(
    store: Store, sql: asyncpg.Connection, control: QueueControl
) -> None:
    await create(store)
    await _close(store, sql, GIVEN_UP_SECONDS - 30)

    assert await Removals(store.queue_control, control).run_once() == 0

    assert await _names(sql) == ["q"]
    assert (await counts(sql))["job"] == 1


async def test_jobs_that_others_move_are_removed_in_the_next_round(
    store: Store, sql: asyncpg.Connection, control: QueueControl
) -> None:
    """A row of a job is in no table for the moment in which it is moved."""
    job_id = await create(store)
    waiting = await sql.fetch("DELETE FROM waiting RETURNING waiting::text AS row")
    await _close(store, sql, GIVEN_UP_SECONDS + 1)
    removals = Removals(store.queue_control, control)

    assert await removals.run_once() == 0
    assert await _names(sql) == ["q"]
    await sql.execute("INSERT INTO waiting SELECT ($1::text::waiting).*", waiting[0]["row"])

    assert await removals.run_once() == 1
    assert await _names(sql) == []
    assert not await store.jobs.read([job_id], False, False)


async def test_queue_of_the_same_name_keeps_its_jobs(
    store: Store, sql: asyncpg.Connection, control: QueueControl
) -> None:
    """Whoever is late with a removal that others have ended finds the queue that came after."""
    job_id = await create(store)

    removed = await control.delete_some_jobs("q", FIRST_ID)
    assert (removed.job_ids, removed.left_over) == ([], 0)
    assert await control.delete_if_empty("q")

    assert await _names(sql) == ["q"]
    assert list(await store.jobs.read([job_id], False, False)) == [job_id]


async def test_empty_queue_of_the_same_name_stays(
    store: Store, sql: asyncpg.Connection, control: QueueControl
) -> None:
    assert await control.delete_if_empty("q")

    assert await _names(sql) == ["q"]
