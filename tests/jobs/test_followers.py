"""The poll of the hub wakes followers that missed a change, so that a lost hint costs a second; and
what is known of a change without a read is used for nothing else."""

import asyncio
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import pytest
from msgspec.structs import replace

from jobsvc.domain.job import JobState, JobStatus, NewStatus
from jobsvc.jobs.followers import Follower, Hub
from jobsvc.store.store import Store
from tests.store.support.samples import create, create_leased, end, lease

_POLL_SECONDS = 0.05
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


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


def _known(version: int, output: str = "{}") -> NewStatus:
    return NewStatus(
        "j", "q", JobStatus(JobState.PROCESSING, version, 1, NOON, output=output), NOON
    )


def _hub(max_known_bytes: int = 1 << 20) -> Hub:
    return Hub(cast(Any, None), _POLL_SECONDS, max_known_bytes)


async def test_status_of_a_commit_here_is_known_until_it_is_taken() -> None:
    hub = _hub()
    with hub.follow(["j"]) as follower:
        follower.seen["j"] = 1
        hub.changed(["j"], {"j": _known(2)})
        hub.changed(["j"], {"j": _known(3)})
        assert await follower.woken() == ["j"]
        assert follower.take("j") == _known(3)
        assert follower.take("j") is None


async def test_job_is_read_when_anything_else_is_heard_of_it() -> None:
    hub = _hub()
    with hub.follow(["j"]) as follower:
        follower.seen["j"] = 1
        hub.changed(["j"], {"j": _known(2)})
        hub.changed(["j"])
        await follower.woken()
        assert follower.take("j") is None
        # The other way round, also while the follower is about to read.
        hub.changed(["j"])
        await follower.woken()
        hub.changed(["j"], {"j": _known(3)})
        assert follower.take("j") is None
        # In the wrong order: perhaps the database went back.
        hub.changed(["j"], {"j": _known(4)})
        hub.changed(["j"], {"j": _known(3)})
        assert follower.take("j") is None


async def test_follower_that_has_seen_a_version_reads_when_it_hears_of_an_earlier_one() -> None:
    hub = _hub()
    with hub.follow(["j"]) as follower:
        follower.seen["j"] = 3
        hub.changed(["j"], {"j": _known(2)})
        assert await follower.woken() == ["j"]
        assert follower.take("j") is None


async def test_statuses_that_are_known_have_bounded_bytes() -> None:
    size = 100_000
    hub = _hub(5 * size)
    with ExitStack() as stack:
        followers = [stack.enter_context(hub.follow(["j"])) for _ in range(9)]
        for follower in followers:
            follower.seen["j"] = 1
        hub.changed(["j"], {"j": _known(2, "x" * size)})
        assert [await follower.woken() for follower in followers] == 9 * [["j"]]
        assert sum(follower.take("j") is not None for follower in followers) == 4
        hub.changed(["j"], {"j": _known(3, "x" * size)})
    # Who left has given back what it had not taken; so does one that reads all that has changed.
    all_of_it = "x" * (5 * size - 2000)
    with hub.follow(["j"]) as follower:
        hub.changed(["j"], {"j": _known(4, all_of_it)})
        assert await follower.changed() == ["j"]
        with hub.follow(["k"]) as another:
            another.seen["k"] = 1
            hub.changed(["k"], {"k": replace(_known(5, all_of_it), id="k")})
            assert another.take("k") is not None
