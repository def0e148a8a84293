"""Which jobs have changed since a time, by find_created.sql and find_moved.sql."""

from datetime import datetime, timedelta

import asyncpg
from msgspec.structs import replace

from jobsvc.domain.job_id import first_job_id
from jobsvc.domain.lease import Slot
from jobsvc.domain.read_horizon import ReadHorizon
from jobsvc.store.changes import Change, ChangeStore
from jobsvc.store.store import Store
from tests.store.support.samples import (
    RETRY,
    create,
    create_leased,
    end,
    lease,
    new_job,
)

MINUTE = timedelta(minutes=1)


async def since(
    store: Store, time: datetime, queues: tuple[str, ...] | None = None, clock: timedelta = MINUTE
) -> list[Change]:
    return [change async for part in store.changes.since(time, clock, queues) for change in part]


async def now(sql: asyncpg.Connection) -> datetime:
    time: datetime = await sql.fetchval("SELECT clock_timestamp()")
    return time


async def test_every_step_of_a_job_is_a_change(store: Store, sql: asyncpg.Connection) -> None:
    steps: list[tuple[int, datetime]] = []

    async def step() -> None:
        found = await since(store, before)
        # All states that it has been in since have the same id; the last one is what it is.
        assert {change.job_id for change in found} == {job_id}
        steps.append((found[-1].version, found[-1].update_time))

    before = await now(sql)
    job_id = await create(store)
    await step()
    before = await now(sql)
    (leased,) = await lease(store)
    await step()
    before = await now(sql)
    await store.lease_ends.ends.submit_one(end(leased.id, RETRY))
    await step()
    before = await now(sql)
    (leased,) = await lease(store)
    await step()
    before = await now(sql)
    await store.lease_ends.ends.submit_one(end(leased.id))
    await step()
    before = await now(sql)
    assert await since(store, before) == []
    assert [version for version, _ in steps] == [1, 2, 3, 4, 5]
    assert sorted(steps, key=lambda at: at[1]) == steps


async def test_times_and_versions_are_those_that_readers_see(
    store: Store, sql: asyncpg.Connection
) -> None:
    start = await now(sql)
    waits = await create(store)
    ends = await create(store)
    runs = await create(store)
    leased = await lease(store, 2)
    await store.lease_ends.ends.submit_one(end(leased[1].id))
    found = {change.job_id: change for change in await since(store, start)}
    jobs = await store.jobs.read([waits, ends, runs])
    for job_id in (waits, ends, runs):
        status = jobs[job_id].status
        assert found[job_id][2:] == (status.version, status.update_time)


async def test_only_the_queues_that_are_named(store: Store, sql: asyncpg.Connection) -> None:
    start = await now(sql)
    mine = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(mine))
    waits = await create(store)
    await create(store, queue="other")
    assert {c.job_id for c in await since(store, start, ("q",))} == {mine.job_id, waits}
    assert len({c.job_id for c in await since(store, start)}) == 3


async def test_parts_together_are_everything(store: Store, sql: asyncpg.Connection) -> None:
    """However small the parts are, and although some jobs changed at the very same time."""
    start = await now(sql)
    for n in range(12):
        await create(store, queue="q" if n % 4 else "other")
    leased = await lease(store, 6)
    (other,) = await store.claims.lease("other", [Slot("w", 30.0)])
    await store.lease_ends.ends.submit_one(end(other.id, RETRY))
    for one in leased[:4]:
        await store.lease_ends.ends.submit_one(end(one.id))
    await sql.execute(
        "UPDATE result SET end_time = (SELECT min(end_time) FROM result)"
        " WHERE end_time < (SELECT max(end_time) FROM result)"
    )
    whole = set(await since(store, start))
    of_other = {c for c in whole if c.queue == "other"}
    assert len(whole) == 9 + 6 + len(of_other)
    assert len(of_other) == 3 + 1
    store.changes = ChangeStore(store.database, max_moved=2, max_created=2)
    assert set(await since(store, start)) == whole
    assert set(await since(store, start, ("other",))) == of_other
    assert await since(store, start, ("none",)) == []


async def test_job_of_a_slow_clock_is_found_within_the_difference(
    store: Store, sql: asyncpg.Connection
) -> None:
    start = await now(sql)
    late = first_job_id(start, timedelta(seconds=-30))
    await create(store, id=late)
    assert [c.job_id for c in await since(store, start)] == [late]
    assert await since(store, start, clock=timedelta(seconds=10)) == []


async def test_late_commit_is_within_the_horizon(store: Store, sql: asyncpg.Connection) -> None:
    """A change that another transaction commits after a reading, with an earlier time."""

    async def versions(time: datetime) -> set[tuple[str, int]]:
        return {(c.job_id, c.version) for c in await since(store, time)}

    horizon = ReadHorizon(await store.changes.snapshot(), timedelta(0), 10 * MINUTE)
    lease_id = await create_leased(store)
    async with store.database.transaction() as connection:
        text = store.database.sql["finish_jobs"]
        columns = [str(lease_id), [], [3], [60.0], None, None, [], [], []]
        await connection.fetch(text, *columns)
        for reading in range(1, 4):
            snapshot = await store.changes.snapshot()
            # Others begin and end meanwhile.
            await create(store)
            assert (lease_id.job_id, 3) not in await versions(horizon.since)
            # As if it was the next minute, and the next.
            horizon.has_read(replace(snapshot, time=snapshot.time + reading * MINUTE))
    assert (lease_id.job_id, 3) in await versions(horizon.since)


async def test_emptied_job_is_no_change(store: Store, sql: asyncpg.Connection) -> None:
    start = await now(sql)
    lease_id = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(lease_id))
    await sql.execute("UPDATE result SET emptied_time = now()")
    assert [c.version for c in await since(store, start)] == [1]


async def test_jobs_of_queues_are_told_from_others(store: Store) -> None:
    mine, other = await create(store), await create(store, queue="other")
    missing = new_job().id
    assert await store.changes.in_queues([mine, other, missing], ["q", "r"]) == [mine]
