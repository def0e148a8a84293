"""One reader of the changes of jobs that match a filter. It has thousands like it, so it is small:
while it waits it has a future, and its filter."""

import asyncio
import random
from collections.abc import Awaitable
from enum import IntEnum
from itertools import islice

from jobsvc.domain.errors import JobsvcError, SlowConsumer
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner

#: Jobs that may have an update pending on one stream (contract: `WatchJobsResponse`).
MAX_PENDING = 10_000
#: How often somebody looks which heartbeats are due.
BEAT_SECONDS = 1.0


class UpdateForm(IntEnum):
    """How an update is written: without what is large, or with it in one of the spellings of the
    contract, numbered as in `PayloadEncoding`."""

    BASIC = 0
    FULL_STRUCT = 1
    FULL_JSON_TEXT = 2
    #: As BASIC, for a reader that may not see the metadata of errors.
    WITHOUT_METADATA = 3

    @property
    def is_full(self) -> bool:
        """Whether what is large is in it."""
        return self in (UpdateForm.FULL_STRUCT, UpdateForm.FULL_JSON_TEXT)


class Watcher:
    """Which updates are due to one reader: at most one for each job, the latest."""

    __slots__ = (
        "_beat_time",
        "_heartbeat_seconds",
        "_pending",
        "_seen",
        "_seen_in",
        "_stop",
        "_waiter",
        "caller",
        "form",
        "wanted",
    )

    def __init__(
        self, wanted: JobFilter, caller: Owner, form: UpdateForm, heartbeat_seconds: float
    ) -> None:
        self.wanted = wanted
        self.caller = caller
        self.form = form
        self._heartbeat_seconds = heartbeat_seconds
        #: When it is to be woken although nothing has happened, by the clock of the loop.
        self._beat_time = 0.0
        self._pending: dict[str, None] = {}
        #: Versions that the stream has read by itself while the feed was at its reading of this
        #: number: what that one found may be older.
        self._seen: dict[str, int] | None = None
        self._seen_in = 0
        self._waiter: asyncio.Future[None] | None = None
        self._stop: JobsvcError | None = None

    def saw(self, job_id: str, version: int, reading: int) -> None:
        """Notes that the stream itself has read a job that the feed is reading just now."""
        if self._seen is None or self._seen_in != reading:
            self._seen_in, self._seen = reading, {}
        self._seen[job_id] = version

    def mark(self, job_id: str, version: int, reading: int) -> None:
        """Notes that a job that matches has changed, as the feed has found in a reading, and wakes
        the reader."""
        if self._seen is not None:
            if self._seen_in == reading and self._seen.get(job_id, 0) >= version:
                return
            if self._seen_in != reading:
                self._seen = None
        self._pending[job_id] = None
        if len(self._pending) > MAX_PENDING:
            self._pending = {}
            self.stop(SlowConsumer(f"{MAX_PENDING} updates are pending; open the stream again"))
        self.wake()

    def unmark(self, job_id: str) -> None:
        """Notes that a job does not match any more, or that it has been reported just now."""
        self._pending.pop(job_id, None)

    def sent(self) -> None:
        """Notes that something was sent: the next heartbeat is due later."""
        # Spread, so that thousands of streams opened at once do not all beat at once.
        seconds = self._heartbeat_seconds * random.uniform(0.8, 1.0) - BEAT_SECONDS
        self._beat_time = asyncio.get_running_loop().time() + seconds

    @property
    def is_beat_due(self) -> bool:
        """Whether nothing was sent for so long that a heartbeat must be."""
        return self._beat_time <= asyncio.get_running_loop().time()

    def stop(self, error: JobsvcError) -> None:
        """Ends the reading with an error."""
        self._stop = self._stop or error
        self.wake()

    def wake(self) -> None:
        """Lets `wait` return."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def check(self) -> None:
        """Must be called between any two messages.

        Raises:
            ServerDraining: the replica is about to exit.
            SlowConsumer: the reader has not kept up.
        """
        if self._stop is not None:
            raise self._stop

    @property
    def pending(self) -> int:
        """The number of updates that are pending."""
        return len(self._pending)

    def take(self, most: int = MAX_PENDING) -> list[str]:
        """Returns jobs with a pending update, those first that have waited longest. They are
        pending no more. Raises as `check`."""
        self.check()
        if len(self._pending) <= most:
            taken = list(self._pending)
            self._pending = {}
        else:
            taken = list(islice(self._pending, most))
            for job_id in taken:
                del self._pending[job_id]
        return taken

    def wait(self) -> Awaitable[None]:
        """Returns what is done when an update is pending or `wake` is called: call `check` then.
        Not a coroutine, as thousands of readers would each have its frame. Raises as `check`."""
        self.check()
        self._waiter = asyncio.get_running_loop().create_future()
        if self._pending:
            self.wake()
        return self._waiter
