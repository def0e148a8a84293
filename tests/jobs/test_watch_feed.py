"""The feed of watchers: one reading for all of them, nothing lost without hints, bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable, ServerDraining, SlowConsumer
from jobsvc.domain.job import Job, JobState
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.domain.status_news import is_news
from jobsvc.jobs.latest_updates import LatestUpdates, WrittenUpdate
from jobsvc.jobs.watch_feed import WatchFeed
from jobsvc.jobs.watcher import MAX_PENDING, UpdateForm, Watcher
from jobsvc.store.jobs import JobStore
from jobsvc.store.store import Store
from tests.store.support.samples import create, create_leased, end, lease
from tests.support.probe import eventually
from tests.support.samples import job

POLL_SECONDS = 0.05
#: Polls do not matter then.
NEVER_SECONDS = 600.0
OF_QUEUE = JobFilter(frozenset({"q"}))


class CountedJobs(JobStore):
    """Counts the statements that read jobs."""

    statements = 0

    async def read(
        self, job_ids: Sequence[str], *arguments: Any, **named: Any
    ) -> Mapping[str, Job]:
        self.statements += 1
        return await super().read(job_ids, *arguments, **named)


async def written(job: Job, form: UpdateForm) -> bytes:
    return f"{form.value} {job.id} {job.status.version} {job.status.output}".encode()


@asynccontextmanager
async def feeding(
    store: Store, poll_seconds: float, told: Callable[[bool], None] = lambda _: None
) -> AsyncIterator[WatchFeed]:
    feed = WatchFeed(store, written, told, poll_seconds, 10.0)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        assert not running.done(), running.exception()
        running.cancel()


async def taken(watcher: Watcher) -> list[str]:
    """The next jobs that are marked."""
    async with asyncio.timeout(40):
        while not (ids := watcher.take()):
            await watcher.wait()
    return ids


async def fail_once(feed: WatchFeed, sql: asyncpg.Connection) -> None:
    """The database refuses what the feed asks, until somebody has been told so."""
    await sql.execute("ALTER TABLE lease RENAME TO away")
    with (
        feed.watch(JobFilter(), Owner(), UpdateForm.BASIC, 15.0) as late,
        pytest.raises(DatabaseUnavailable),
    ):
        await feed.until_covered(late)
    await sql.execute("ALTER TABLE away RENAME TO lease")


async def test_change_costs_one_read_for_a_thousand_watchers(store: Store) -> None:
    own = copy(store)
    counted = own.jobs = CountedJobs(store.database)
    async with feeding(own, NEVER_SECONDS) as feed:
        with watches(feed, 1000) as watchers:
            await feed.until_covered(watchers[0])
            for n in range(1, 6):
                job_id = await create(store)
                feed.changed([job_id])
                assert [await taken(watcher) for watcher in watchers] == [[job_id]] * 1000
                assert counted.statements == n
                texts = {id(feed.distribution.latest.written(job_id)) for _ in watchers}
                assert len(texts) == 1


class watches:  # noqa: N801 - a context manager
    """Many watchers of one queue."""

    def __init__(self, feed: WatchFeed, count: int) -> None:
        self._watches = [
            feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) for _ in range(count)
        ]

    def __enter__(self) -> list[Watcher]:
        return [watch.__enter__() for watch in self._watches]

    def __exit__(self, *_: object) -> None:
        for watch in self._watches:
            watch.__exit__(None, None, None)


async def test_without_hints_polls_find_every_change(store: Store) -> None:
    async with feeding(store, POLL_SECONDS) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            await feed.until_covered(watcher)
            job_id = await create(store)
            assert await taken(watcher) == [job_id]
            (leased,) = await lease(store)
            assert await taken(watcher) == [job_id]
            await store.lease_ends.ends.submit_one(end(leased.id))
            assert await taken(watcher) == [job_id]
            update = feed.distribution.latest.written(job_id)
            assert update is not None
            assert update.state is JobState.COMPLETED
            assert update.texts == {UpdateForm.BASIC: f"0 {job_id} 3 None".encode()}


async def test_nothing_is_asked_while_nobody_watches(store: Store) -> None:
    told: list[bool] = []
    async with feeding(store, POLL_SECONDS, told.append) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            await feed.until_covered(watcher)
            await create(store)
            await taken(watcher)
        await eventually(lambda: not feed.distribution.latest.known())
        feed.changed([await create(store)])
        feed.gap()
        watermark = feed.watermark
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            await feed.until_covered(watcher)
            assert watcher.take() == []
            assert feed.watermark > watermark
    assert told == [True, False, True, False]


async def test_job_that_matches_no_more_is_pending_no_more(store: Store) -> None:
    waiting = JobFilter(states=frozenset({JobState.PENDING}))
    async with feeding(store, NEVER_SECONDS) as feed:
        with (
            feed.watch(waiting, Owner(), UpdateForm.BASIC, 15.0) as watcher,
            feed.watch(JobFilter(), Owner(), UpdateForm.BASIC, 15.0) as other,
        ):
            await feed.until_covered(watcher)
            job_id = await create(store)
            feed.changed([job_id])
            await taken(other)
            await lease(store)
            feed.changed([job_id])
            await taken(other)
            assert watcher.take() == []


async def test_output_is_read_once_for_those_who_want_it(store: Store) -> None:
    own = copy(store)
    counted = own.jobs = CountedJobs(store.database)
    async with feeding(own, NEVER_SECONDS) as feed:
        with (
            feed.watch(OF_QUEUE, Owner(), UpdateForm.FULL_JSON_TEXT, 15.0) as one,
            feed.watch(OF_QUEUE, Owner(), UpdateForm.FULL_JSON_TEXT, 15.0) as two,
            feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as basic,
        ):
            await feed.until_covered(one)
            lease_id = await create_leased(store)
            await store.lease_ends.ends.submit_one(end(lease_id))
            feed.changed([lease_id.job_id])
            for watcher in (one, two, basic):
                assert await taken(watcher) == [lease_id.job_id]
            assert counted.statements == 2


async def test_database_that_went_back_is_told(store: Store, sql: asyncpg.Connection) -> None:
    """After a failover to a standby that lagged: what was told last is not true any more, and
    nothing has changed since."""
    async with feeding(store, POLL_SECONDS) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            await feed.until_covered(watcher)
            lease_id = await create_leased(store)
            await eventually(lambda: feed.distribution.latest.version(lease_id.job_id) == 2)
            watcher.take()
            # An hour ago it was leased, and it had waited since the day before.
            await sql.execute(
                "WITH gone AS (DELETE FROM lease RETURNING *)"
                " INSERT INTO waiting (job_id, queue, rank, run_at, attempt, redeliveries, version,"
                " update_time, keyed) SELECT job_id, queue, rank, run_at, 0, 0, 1,"
                " update_time - interval '1 day', keyed FROM gone"
            )
            await fail_once(feed, sql)
            assert await taken(watcher) == [lease_id.job_id]
            assert feed.distribution.latest.version(lease_id.job_id) == 1
            assert is_news(2, 1, ended=False)


async def test_reader_that_does_not_keep_up_is_ended_and_holds_nothing(store: Store) -> None:
    async with feeding(store, NEVER_SECONDS) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            for n in range(MAX_PENDING):
                watcher.mark(f"job {n}", 1, 1)
                watcher.mark(f"job {n}", 2, 2)
            watcher.check()
            watcher.mark("one more", 1, 1)
            with pytest.raises(SlowConsumer):
                watcher.take()
            with pytest.raises(SlowConsumer):
                await watcher.wait()


async def test_stream_that_has_read_a_job_is_told_nothing_older(store: Store) -> None:
    """It reads while the feed reads, and sees more."""
    watcher = Watcher(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0)
    watcher.saw("a", 3, reading=7)
    watcher.saw("b", 3, reading=7)
    watcher.mark("a", 2, reading=7)
    watcher.mark("b", 4, reading=7)
    assert watcher.take() == ["b"]
    # A database that went back is another reading.
    watcher.mark("a", 2, reading=8)
    assert watcher.take() == ["a"]


async def test_what_a_stream_has_read_is_not_pending(store: Store) -> None:
    async with feeding(store, NEVER_SECONDS) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            await feed.until_covered(watcher)
            job_id = await create(store)
            feed.changed([job_id])
            await eventually(lambda: feed.distribution.latest.version(job_id) == 1)
            (read,) = (await store.jobs.read([job_id])).values()
            feed.distribution.seen(watcher, read)
            assert watcher.take() == []
            await lease(store)
            feed.changed([job_id])
            await eventually(lambda: feed.distribution.latest.version(job_id) == 2)
            feed.distribution.seen(watcher, read)  # What it has read is older: this one is due.
            assert watcher.take() == [job_id]


async def test_drain_ends_all(store: Store) -> None:
    async with feeding(store, NEVER_SECONDS) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            feed.drain()
            with pytest.raises(ServerDraining):
                await watcher.wait()
            with (
                pytest.raises(ServerDraining),
                feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0),
            ):
                pass


async def test_failing_database_is_told_to_who_comes_and_loses_nothing(
    store: Store, sql: asyncpg.Connection
) -> None:
    async with feeding(store, POLL_SECONDS) as feed:
        with feed.watch(OF_QUEUE, Owner(), UpdateForm.BASIC, 15.0) as watcher:
            await feed.until_covered(watcher)
            job_id = await create(store)
            await fail_once(feed, sql)
            assert await taken(watcher) == [job_id]


def test_memory_of_the_latest_updates_is_bounded() -> None:
    latest = LatestUpdates(max_known=10, max_written=5, max_written_bytes=100)
    time = job().status.update_time

    def keep(job_id: str, size: int) -> None:
        update = WrittenUpdate(JobState.PENDING, {UpdateForm.BASIC: b"x" * size})
        latest.keep(job_id, 1, time, update)

    for n in range(20):
        keep(str(n), 10)
    assert latest.known() == [str(n) for n in range(10, 20)]
    assert [n for n in range(20) if latest.written(str(n))] == list(range(15, 20))
    keep("large", 95)
    assert [n for n in range(20) if latest.written(str(n))] == []
    assert latest.is_known("19", 1, time)
    assert not latest.is_known("19", 1, time + timedelta(seconds=1))
    keep("larger", 101)
    assert latest.written("larger") is None
    keep("small", 100)
    assert latest.written("small") is not None
