"""The poll of the hub wakes followers that missed a change, so that a lost hint costs a second."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from jobsvc.jobs.followers import Follower, Hub
from jobsvc.store.store import Store
from tests.store.support.samples import create, create_leased, end, lease

_POLL_SECONDS = 0.05


async def _told(hub: Hub, *followers: Follower, seconds: float = 5.0) -> list[list[str]]:
    """The changes that each follower is told of; only the first must be told of any."""

    async def next_changes(follower: Follower) -> list[str]:
        with suppress(TimeoutError):
            async with asyncio.timeout(4 * _POLL_SECONDS):
                return await follower.changed()
        return []

    polling = asyncio.create_task(hub.run())
    try:
        async with asyncio.timeout(seconds):
            first = await followers[0].changed()
        # Those of the same poll have been told by now.
        return [first, *[await next_changes(follower) for follower in followers[1:]]]
    finally:
        polling.cancel()


async def test_only_who_has_not_seen_the_latest_version_is_woken(store: Store) -> None:
    job_id = await create(store)
    await lease(store)  # version 2
    hub = Hub(store.jobs, _POLL_SECONDS)
    with hub.follow([job_id]) as late, hub.follow([job_id]) as current, hub.follow([job_id]) as new:
        late.seen[job_id] = 1
        current.seen[job_id] = 2
        assert await _told(hub, late, current, new) == [[job_id], [], []]


async def test_step_back_of_the_database_wakes_all_who_have_seen_more(store: Store) -> None:
    job_id = await create(store)  # version 1
    hub = Hub(store.jobs, _POLL_SECONDS)
    with hub.follow([job_id]) as before, hub.follow([job_id]) as since:
        before.seen[job_id] = 12
        since.seen[job_id] = 1
        assert await _told(hub, before, since) == [[job_id], []]


async def test_end_of_a_job_wakes_who_has_seen_its_version_before_a_step_back(
    store: Store,
) -> None:
    lease_id = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(lease_id))  # version 3
    hub = Hub(store.jobs, _POLL_SECONDS)
    with hub.follow([lease_id.job_id]) as follower:
        follower.seen[lease_id.job_id] = 3
        assert await _told(hub, follower) == [[lease_id.job_id]]


async def test_removal_of_a_job_is_a_change(store: Store, sql: asyncpg.Connection) -> None:
    job_id = await create(store)
    hub = Hub(store.jobs, _POLL_SECONDS)
    with hub.follow([job_id]) as follower, hub.follow([job_id]) as knows:
        follower.seen[job_id] = 1
        del knows.seen[job_id]
        await sql.execute("DELETE FROM waiting")
        assert await _told(hub, follower, knows) == [[job_id], []]


async def test_follower_that_goes_when_it_has_seen_an_end_is_woken_no_more(store: Store) -> None:
    hub = Hub(store.jobs, _POLL_SECONDS)
    with hub.follow(()) as follower:
        hub.join(follower, ["j"])
        del follower.seen["j"]  # By who was about to have it leave the job.
    hub.changed(["j"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follower.changed(), 2 * _POLL_SECONDS)
