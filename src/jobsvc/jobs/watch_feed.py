"""The changes of jobs, read once for all watchers of this replica.

Hints say quickly which jobs may have changed. Once a second the feed asks the database what has
changed since it last asked, so that a lost hint costs a second at most, and nothing depends on one.
It starts with the first watcher and ends with the last.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

from jobsvc.domain.errors import DatabaseFailure, JobsvcError, ServerDraining
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.domain.read_horizon import ReadHorizon, Snapshot
from jobsvc.domain.watch_index import WatchIndex
from jobsvc.jobs.watch_distribution import Distribution, WriteUpdate
from jobsvc.jobs.watcher import BEAT_SECONDS, UpdateForm, Watcher
from jobsvc.store.changes import Change
from jobsvc.store.repeat import repeat
from jobsvc.store.store import Store

#: Jobs read in one statement.
_READ_IDS = 500
#: Jobs that hints may have named and that are not read; beyond, the database is asked for all.
_MAX_HINTED = 50_000
#: The database may be busy with the question what has changed for a fifth of the time.
_POLL_SHARE = 5
#: How long transactions may have run that are open when the first watcher comes.
_OVERLAP = timedelta(seconds=5)
#: How far clocks that make job ids may be behind that of the database: as a rule, and where jobs
#: that were created may be known by their ids only.
_USUAL_DIFFERENCE = timedelta(seconds=10)
_CLOCK_DIFFERENCE = timedelta(minutes=1)


class WatchFeed:
    """All watchers of this replica, and the jobs that changed for them."""

    def __init__(
        self,
        store: Store,
        write_update: WriteUpdate,
        on_watching: Callable[[bool], None],
        poll_seconds: float,
        statement_seconds: float,
    ) -> None:
        """`on_watching` is called when there is a watcher, and when there is none any more."""
        self._store = store
        self._on_watching = on_watching
        self._poll_seconds = poll_seconds
        self._max_overlap = timedelta(seconds=2 * statement_seconds)
        self._index: WatchIndex[Watcher] = WatchIndex()
        self.distribution = Distribution(store, self._index, write_update)
        self._latest = self.distribution.latest
        self._watchers: dict[Watcher, None] = {}
        self._draining = False
        self._hinted: dict[str, None] = {}
        self._work = asyncio.Event()
        self._horizon: ReadHorizon | None = None
        self._began = datetime.fromtimestamp(0, UTC)
        #: The queues whose changes are being passed on; None for all.
        self._covered: frozenset[str] | None = frozenset()
        self._poll_time = 0.0
        self._polled = asyncio.Event()
        self._failure: DatabaseFailure | None = None
        #: Hints were lost.
        self._gap = False
        #: The database was away, and may have gone back.
        self._was_away = False
        self._timeline: int | None = None

    # For watchers.

    def watch(
        self, wanted: JobFilter, caller: Owner, form: UpdateForm, heartbeat_seconds: float
    ) -> AbstractContextManager[Watcher]:
        """Watches from `until_covered` on, for the length of the block."""
        return _Watching(self, Watcher(wanted, caller, form, heartbeat_seconds))

    def add(self, watcher: Watcher) -> None:
        """Adds a watcher, as `watch` does.

        Raises:
            ServerDraining: the replica is about to exit.
        """
        if self._draining:
            raise _draining()
        watcher.sent()
        self._watchers[watcher] = None
        self._index.add(watcher)
        if len(self._watchers) == 1:
            self._on_watching(True)

    def remove(self, watcher: Watcher) -> None:
        """Removes a watcher that was added."""
        self._index.remove(watcher)
        del self._watchers[watcher]
        if not self._watchers:
            self._on_watching(False)
            self._work.set()

    async def until_covered(self, watcher: Watcher) -> None:
        """Returns when every later change of the watcher's jobs will be marked.

        Raises:
            DatabaseUnavailable: it does not answer.
            ServerDraining: the replica is about to exit.
        """
        queues = watcher.wanted.queues
        while not (self._covered is None or (queues and queues <= self._covered)):
            polled = self._polled
            self._poll_now()
            await polled.wait()
            watcher.check()
            if self._failure is not None:
                raise self._failure

    @property
    def watermark(self) -> datetime:
        """Every change before this time has been marked at the watchers that it concerns."""
        return datetime.fromtimestamp(0, UTC) if self._horizon is None else self._horizon.since

    @property
    def timeline(self) -> int:
        """The timeline of the database on which the watermark is; 0 if it is not known."""
        return self._timeline or 0

    async def changed_since(
        self, timeline: int, watermark: datetime, wanted: JobFilter
    ) -> AsyncIterator[Sequence[str]]:
        """Yields the ids of jobs in the queues of a filter that have changed since a watermark, of
        whatever replica, in parts. Of each that still exists, the last change is among them."""
        # The clock of another server may be behind that of the one before.
        time = watermark - (_CLOCK_DIFFERENCE if timeline != self.timeline else timedelta(0))
        queues = wanted.queues or None
        async for changes in self._store.changes.since(
            min(time, self.watermark), _CLOCK_DIFFERENCE, queues
        ):
            yield list(dict.fromkeys(change.job_id for change in changes))

    def drain(self) -> None:
        """Ends all watching: this replica is about to exit."""
        self._draining = True
        for watcher in self._watchers:
            watcher.stop(_draining())
        self._polled.set()

    # For those who hear of changes.

    def changed(self, job_ids: Iterable[str]) -> None:
        """Says that jobs may have changed."""
        if not self._watchers:
            return
        self._hinted.update(dict.fromkeys(job_ids))
        if len(self._hinted) > _MAX_HINTED:
            self._hinted = {}
            self._poll_now()
        self._work.set()

    def gap(self) -> None:
        """Says that hints were lost, so that any job may have changed."""
        if self._watchers:
            self._gap = True
            self._poll_now()

    def _poll_now(self) -> None:
        self._poll_time = 0.0
        self._work.set()

    # The feed.

    async def run(self) -> None:
        """Passes changes on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat())
            tasks.create_task(repeat(self._poll_seconds, self._pass_on))

    async def _beat(self) -> None:
        """Wakes watchers that must say that they are alive."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for watcher in self._watchers:
                if watcher.is_beat_due:
                    watcher.wake()

    async def _pass_on(self) -> None:
        """Passes changes on until the database fails."""
        try:
            while True:
                await self._until_work()
                if not self._watchers:
                    self._end()
                elif asyncio.get_running_loop().time() >= self._poll_time:
                    await self._poll()
                else:
                    ids = list(self._hinted)[:_READ_IDS]
                    for job_id in ids:
                        del self._hinted[job_id]
                    await self.distribution.pass_on(ids)
        except DatabaseFailure as failure:
            self._was_away = True
            self._poll_time = 0.0
            self._answer(failure)
            raise

    async def _until_work(self) -> None:
        """Returns when jobs are hinted, it is time to poll, or all watchers have left."""
        loop = asyncio.get_running_loop()
        while not self._hinted:
            self._work.clear()
            if not self._watchers:
                if self._horizon is not None:
                    return
                await self._work.wait()
            elif loop.time() >= self._poll_time:
                return
            else:
                try:
                    async with asyncio.timeout_at(self._poll_time):
                        await self._work.wait()
                except TimeoutError:
                    return

    def _end(self) -> None:
        self._horizon = None
        self._covered = frozenset()
        self._gap = self._was_away = False
        self._hinted = {}
        self._latest.clear()

    async def _poll(self) -> None:
        """Asks for all changes since the last time, and passes on those that are not known."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._poll_time = began + self._poll_seconds
        queues, covered = self._index.queues, self._covered
        is_gap, self._gap = self._gap, False
        snapshot = await self._store.changes.snapshot()
        timeline = self._store.changes.timeline
        went_back = self._was_away or timeline != self._timeline
        if self._horizon is None:
            self._horizon, went_back = self._first_horizon(snapshot), False
            self._began = snapshot.time - _OVERLAP
        since = min(self._horizon.since, snapshot.time)
        if went_back:
            # Its clock may be another one.
            since = max(since - _CLOCK_DIFFERENCE, min(self._began, since))
        difference = _CLOCK_DIFFERENCE if is_gap or went_back else _USUAL_DIFFERENCE
        async for changes in self._store.changes.since(since, difference, queues):
            ids = list(dict.fromkeys(self._news(changes, covered)))
            for start in range(0, len(ids), _READ_IDS):
                await self.distribution.pass_on(ids[start : start + _READ_IDS], are_watched=True)
        if went_back:
            await self._read_known_again()
            self._was_away = False
            self._horizon = self._first_horizon(snapshot)
        else:
            self._horizon.has_read(snapshot)
        self._timeline = timeline
        self._covered = queues
        now = loop.time()
        if self._poll_time:  # Nobody has asked for another one meanwhile.
            self._poll_time = max(self._poll_time, now + (now - began) * (_POLL_SHARE - 1))
        self._answer(None)

    def _first_horizon(self, snapshot: Snapshot) -> ReadHorizon:
        return ReadHorizon(snapshot, _OVERLAP, self._max_overlap)

    def _news(self, changes: Sequence[Change], covered: frozenset[str] | None) -> Iterator[str]:
        """Yields the jobs that must be read. Those of queues that were not watched before are
        only noted: their watchers have yet to look for themselves."""
        for job_id, queue, version, update_time in changes:
            if version == 1 and job_id in self._latest:
                continue
            if covered is not None and queue not in covered:
                self._latest.note(job_id, version, update_time)
            elif not self._latest.is_known(job_id, version, update_time):
                yield job_id

    async def _read_known_again(self) -> None:
        """Passes on what has become of the jobs that were told last: if the database went back,
        they are not what they were, though nothing has changed since."""
        ids = self._latest.known()
        for start in range(0, len(ids), _READ_IDS):
            await self.distribution.pass_on(ids[start : start + _READ_IDS], are_watched=True)

    def _answer(self, failure: DatabaseFailure | None) -> None:
        """Lets those who wait for a poll go on."""
        self._failure = failure
        self._polled.set()
        self._polled = asyncio.Event()


class _Watching(AbstractContextManager[Watcher]):
    """A watcher for the length of a block. Thousands are open, and a generator takes 260 bytes."""

    __slots__ = ("_feed", "_watcher")

    def __init__(self, feed: WatchFeed, watcher: Watcher) -> None:
        self._feed = feed
        self._watcher = watcher

    def __enter__(self) -> Watcher:
        self._feed.add(self._watcher)
        return self._watcher

    def __exit__(self, *_: object) -> None:
        self._feed.remove(self._watcher)


def _draining() -> JobsvcError:
    return ServerDraining("the server is about to go; watch again")
