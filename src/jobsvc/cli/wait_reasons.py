"""Asks why followed jobs wait: an update of the status stream does not say."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from jobsvc.client import CallFailed, Client, Job, JobState, JobUpdate

#: A job that waits for so long is asked about; most begin within a moment.
FIRST_SECONDS = 3.0
#: And then so often, in case that the reason changes.
_NEXT_SECONDS = 10.0
#: Most jobs of one round of questions.
_ROUND = 20
_LOOK_SECONDS = 0.5
_END_SECONDS = 1.0


class WaitingJobs:
    """Which jobs wait, and when to ask about each. Pure: the clock's reading comes in."""

    def __init__(self, first_seconds: float) -> None:
        self._first_seconds = first_seconds
        #: When each is to be asked about; those that wait longest come first.
        self._due: dict[str, float] = {}

    def note(self, update: JobUpdate, now: float) -> None:
        """Takes notice of a new status."""
        self._due.pop(update.job_id, None)
        if update.status.state is JobState.PENDING:
            self._due[update.job_id] = now + self._first_seconds

    def take_due(self, now: float) -> list[str]:
        """Returns the jobs to ask about now."""
        due = [job_id for job_id, at in self._due.items() if at <= now][:_ROUND]
        for job_id in due:
            self._due[job_id] = now + _NEXT_SECONDS
        return due


class WaitReasons:
    """While its block runs, a thread passes each job that waits to `show`, with its reason."""

    def __init__(
        self, client: Client, show: Callable[[Job], None], first_seconds: float = FIRST_SECONDS
    ) -> None:
        self._client = client
        self._show = show
        self._waiting = WaitingJobs(first_seconds)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="wait reasons", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_END_SECONDS)

    def note(self, update: JobUpdate) -> None:
        """Takes notice of a new status."""
        with self._lock:
            self._waiting.note(update, time.monotonic())

    def _ask(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with self._lock:
                due = self._waiting.take_due(time.monotonic())
            for job_id in due:
                # The stream tells of a server that is away; a client may be closed meanwhile.
                with suppress(CallFailed, ValueError):
                    job = self._client.get(job_id, full=False)
                    if not self._ended.is_set():
                        self._show(job)
