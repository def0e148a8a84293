"""A real server for a test, with a database, a clock and a thread of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID

from jobsvc.app import replica
from jobsvc.client import AsyncClient, Client
from jobsvc.client.job import Job, JobState
from jobsvc.domain import job as stored
from jobsvc.domain.errors import JobNotFound
from jobsvc.inspection import Inspector
from jobsvc.settings import SCHEMA, Settings
from jobsvc.store.scratch_database import scratch_database
from jobsvc.store.store import Store, open_store
from jobsvc.store.under_test import DatabaseUnderTest, movable_texts
from jobsvc.testing.background import Background
from jobsvc.worker import Worker
from jobsvc.worker.processor import AnyProcessor

T = TypeVar("T")

#: Those of a server, but for what a test would have to wait for.
TEST_SETTINGS: dict[str, Any] = {
    "listen": "127.0.0.1:0",
    "poll_interval_seconds": 0.1,
    "rescue_interval_seconds": 0.1,
    "prune_interval_seconds": 0.1,
    "acknowledge_seconds": 1.0,
    "drain_seconds": 1.0,
    "reconnect_seconds": 1.0,
    "lease_seconds": 3.0,
    "extend_interval_seconds": 1.0,
    "pool_size": 4,
}
#: Longest wait for what a server does within milliseconds.
_SECONDS = 10.0
_PAUSE_SECONDS = 0.01
_MAX_QUEUES = 10_000
#: Of the jobs that wait for a time, the next one is due so much after it.
_SPARE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of jobs in the queues of the processors, since the drain began: how many ended,
    and how many wait for a time or a retry."""

    completed: int
    failed: int
    cancelled: int
    waiting: int


class _Core:
    """What a server is, for both of the classes below. Its coroutines are for the server's loop."""

    def __init__(self, port: int, dsn: str, store: Store, shift: list[timedelta]) -> None:
        self.target = f"127.0.0.1:{port}"
        self.dsn = dsn
        self._store = store
        self.inspector = Inspector(store)
        self._database = DatabaseUnderTest(store.database)
        self._shift = shift

    async def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("the clock goes forward only")
        self._shift[0] = await self._database.advance(seconds)
        deadline = time.monotonic() + _SECONDS
        while await self._database.is_overdue():
            if time.monotonic() > deadline:
                raise TimeoutError(f"upkeep has not caught up within {_SECONDS:g} s")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def now(self) -> datetime:
        return await self._store.upkeep.clock()

    async def next_due_seconds(self, queues: Collection[str]) -> float | None:
        return await self._database.next_due_seconds(list(queues))

    async def count_ended(self, queues: Collection[str]) -> Mapping[stored.JobState, int]:
        return await self._database.count_ended(list(queues))

    async def find(self, job_id: str) -> Job | None:
        try:
            return await self.inspector.inspect(job_id)
        except JobNotFound:
            return None


class AsyncJobServer:
    """A server under test, for coroutines. `JobServer` is the same for code that blocks.

    It serves without authentication on loopback, from a thread of its own.
    """

    def __init__(self, core: _Core, background: Background) -> None:
        self._core = core
        self._background = background

    @property
    def target(self) -> str:
        """HOST:PORT, for clients and workers."""
        return self._core.target

    @property
    def dsn(self) -> str:
        """The database; it is removed after the test."""
        return self._core.dsn

    # Any: the options of the client.
    def client(self, **options: Any) -> AsyncClient:
        """Returns a client, to be used by `async with`; the options are those of `AsyncClient`."""
        return AsyncClient(self.target, **options)

    async def declare(self, *processors: ModuleType | AnyProcessor) -> None:
        """Makes the queues of processors, as a worker that starts does, so that jobs can be created
        before anything runs."""
        async with Worker(processors, target=self.target, grace_seconds=0.0) as worker:
            # No job waits yet as a rule; one that does goes back unharmed.
            await asyncio.wait_for(worker.wait_subscribed(), _SECONDS)

    async def drain(
        self,
        *processors: ModuleType | AnyProcessor,
        with_scheduled: bool = False,
        seconds: float = 60.0,
    ) -> Drained:
        """Runs the jobs of the processors' queues, in this process and on this loop, until no job
        is ready or running. Those that they create in these queues are run, too.

        `with_scheduled` also runs jobs that wait for a time or for a retry: the clock is moved to
        the next one, again and again, until none waits.

        Raises:
            TimeoutError: `seconds` were not enough, as for a processor that releases its jobs.
            WorkerStopped: the worker failed.
        """
        worker = Worker(processors, target=self.target)
        queues = list(worker.processors)
        before = await self._background.run(self._core.count_ended(queues))
        # Queues that are missing are declared by the worker.
        async with asyncio.timeout(seconds), worker, self.client() as client:
            await worker.wait_subscribed()
            while True:
                stats = await client.queue_stats(*queues)
                if any(queue.ready_count or queue.processing_count for queue in stats):
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                waiting = sum(queue.scheduled_count for queue in stats)
                if not (with_scheduled and waiting):
                    break
                due = await self._background.run(self._core.next_due_seconds(queues))
                await self.advance(seconds=(due or 0.0) + _SPARE_SECONDS)
            after = await self._background.run(self._core.count_ended(queues))
        ended = {state: count - before[state] for state, count in after.items()}
        return Drained(
            ended[stored.JobState.COMPLETED],
            ended[stored.JobState.FAILED],
            ended[stored.JobState.CANCELLED],
            waiting,
        )

    async def wait_for(
        self, job_id: str | UUID, state: str = JobState.COMPLETED, *, seconds: float = _SECONDS
    ) -> Job:
        """Waits until a job, whoever owns it, is in a state, and returns it.

        Raises:
            AssertionError: it ended in another state, is gone, or was not in time; the text says
                how it is instead.
        """
        deadline = time.monotonic() + seconds
        while True:
            job = await self.find(job_id)
            if job is None:
                raise AssertionError(f"there is no job {job_id}")
            if job.state == state:
                return job
            if job.ended or time.monotonic() > deadline:
                raise AssertionError(f"job {job_id} is not {state}: {_said(job)}")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def find(self, job_id: str | UUID) -> Job | None:
        """Returns a job, whoever owns it; None if there is none, or its retention is over."""
        return await self._background.run(self._core.find(str(job_id)))

    async def advance(
        self,
        delta: timedelta = timedelta(0),
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Moves what the server takes for now. Jobs whose time has come then may run; when this
        returns, those that expired have failed, and those whose retention is over are gone.

        Workers live through it: they keep their leases, but not beyond the deadline of an attempt.

        Raises:
            ValueError: the clock would go back.
        """
        whole = delta + timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        await self._background.run(self._core.advance(whole.total_seconds()))

    async def now(self) -> datetime:
        """Returns what the server takes for now, in UTC."""
        return (await self._background.run(self._core.now())).astimezone(UTC)


class JobServer:
    """A server under test, for code that blocks. See `AsyncJobServer` for what each method does."""

    def __init__(self, server: AsyncJobServer) -> None:
        self._server = server

    @property
    def target(self) -> str:
        """HOST:PORT, for clients and workers."""
        return self._server.target

    @property
    def dsn(self) -> str:
        """The database; it is removed after the test."""
        return self._server.dsn

    # Any: the options of the client.
    def client(self, **options: Any) -> Client:
        """Returns a client, to be used by `with`; the options are those of `Client`."""
        return Client(self.target, **options)

    def declare(self, *processors: ModuleType | AnyProcessor) -> None:
        """Makes the queues of processors."""
        _run(self._server.declare(*processors))

    def drain(
        self,
        *processors: ModuleType | AnyProcessor,
        with_scheduled: bool = False,
        seconds: float = 60.0,
    ) -> Drained:
        """Runs the jobs of the processors' queues until no job is ready or running."""
        return _run(self._server.drain(*processors, with_scheduled=with_scheduled, seconds=seconds))

    def wait_for(
        self, job_id: str | UUID, state: str = JobState.COMPLETED, *, seconds: float = _SECONDS
    ) -> Job:
        """Waits until a job is in a state, and returns it."""
        return _run(self._server.wait_for(job_id, state, seconds=seconds))

    def find(self, job_id: str | UUID) -> Job | None:
        """Returns a job, whoever owns it; None if there is none."""
        return _run(self._server.find(job_id))

    def advance(
        self,
        delta: timedelta = timedelta(0),
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Moves what the server takes for now."""
        _run(self._server.advance(delta, days=days, hours=hours, minutes=minutes, seconds=seconds))

    def now(self) -> datetime:
        """Returns what the server takes for now, in UTC."""
        return _run(self._server.now())


# Any: the settings of a server, each of its own type.
@contextmanager
def running_server(
    background: Background, postgres: str, **settings: Any
) -> Iterator[AsyncJobServer]:
    """Runs a server with a fresh database on that PostgreSQL, until the end of the block.

    `settings` are named as in `Settings`; they come before those of `TEST_SETTINGS`.
    """
    chosen = Settings(**{**TEST_SETTINGS, **settings})
    with background.entered(_serving(postgres, chosen)) as core:
        yield AsyncJobServer(core, background)


@asynccontextmanager
async def _serving(postgres: str, settings: Settings) -> AsyncIterator[_Core]:
    shift = [timedelta(0)]
    texts = movable_texts(SCHEMA)
    async with (
        scratch_database(postgres) as dsn,
        replica(dsn, settings, clock_shift=lambda: shift[0]) as serving,
        open_store(dsn, "test", 1, _SECONDS, _MAX_QUEUES, statements=texts) as store,
    ):
        yield _Core(serving.port, dsn, store, shift)


def _said(job: Job) -> str:
    status = job.status
    error = f", {status.error.code} {status.error.message}" if status.error else ""
    waits = f", it waits: {status.wait_reason}" if status.wait_reason else ""
    return f"it is {job.state} after {status.attempt} attempts{error}{waits}"


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except RuntimeError:
        work.close()  # not begun, if a loop is running here: then `AsyncJobServer` is the one
        raise
