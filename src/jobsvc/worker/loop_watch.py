"""Notices that the processor loop is blocked, by code that should run in a thread."""

import asyncio
import logging
from contextlib import suppress
from math import inf

from jobsvc.worker.log_throttle import LogThrottle
from jobsvc.worker.running_attempt import RunningAttempt
from jobsvc.worker.work_protocol import WorkProtocol

#: How often the loop is asked to answer.
ASK_SECONDS = 0.5
#: A loop that has not answered for this long is blocked.
SILENT_SECONDS = 2.0
#: So many jobs are named in a line.
_NAMED = 5

log = logging.getLogger("jobsvc.worker")


class LoopWatch:
    """Asks the processor loop to answer. While it does not, the worker takes no more jobs.

    Used on the session's thread, except for the answers.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: WorkProtocol, blocked_seconds: float
    ) -> None:
        self._loop = loop
        self._protocol = protocol
        self._blocked_seconds = blocked_seconds
        self._log_throttle = LogThrottle()
        self._answered = True
        self._looked_at = -inf
        self._silent_seconds = 0.0
        self._blocker: RunningAttempt | None = None

    @property
    def silent_seconds(self) -> float:
        """How long the loop has been blocked; 0 while it answers."""
        return self._silent_seconds if self.silent else 0.0

    @property
    def silent(self) -> bool:
        """Whether the loop is blocked."""
        return not self._answered and self._silent_seconds >= SILENT_SECONDS

    def look(self, now: float) -> str | None:
        """Returns why the worker must end, if the loop is blocked for too long.

        By then the job that blocks it has failed, if it could be found.
        """
        passed = now - self._looked_at
        if passed < ASK_SECONDS:
            return None
        self._looked_at = now
        if self._answered:
            self._ask()
            return None
        # When this thread did not run either, the whole process stood still.
        self._silent_seconds += min(passed, 2 * ASK_SECONDS)
        if self._blocker is None:
            self._blocker = self._find_blocker()
        if self._silent_seconds < SILENT_SECONDS:
            return None
        self._protocol.pause(True, self._blocker)
        problem = self._describe()
        if self._silent_seconds >= self._blocked_seconds:
            self._protocol.fail_blocker(problem)
            return problem
        if self._log_throttle.due(now):
            log.error("%s; no job is taken until it answers", problem)
        return None

    def _ask(self) -> None:
        if self._silent_seconds >= SILENT_SECONDS:
            log.warning("the event loop answers again after %.0f s", self._silent_seconds)
            self._protocol.pause(False)
            self._log_throttle.reset()
        self._silent_seconds = 0.0
        self._blocker = None
        self._answered = False
        with suppress(RuntimeError):  # closed: the worker is about to end
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._answered = True

    def _find_blocker(self) -> RunningAttempt | None:
        jobs = self._on_loop()
        # A job may block in a task of its own making; one that is alone is found all the same.
        alone = jobs[0] if len(jobs) == 1 else None
        task = asyncio.current_task(self._loop)
        return next((attempt for attempt in jobs if attempt.task is task), alone)

    def _on_loop(self) -> list[RunningAttempt]:
        return [a for a in self._protocol.book.attempts() if a.begun and a.task is not None]

    def _describe(self) -> str:
        silence = f"the event loop has not answered for {self._silent_seconds:.0f} s"
        if self._blocker is not None:
            return f"{_name(self._blocker)} blocks the worker: {silence}"
        jobs = self._on_loop()
        names = ", ".join(map(_name, jobs[:_NAMED])) or "no job"
        more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
        return f"{silence}; on it run {names}{more}"


def _name(attempt: RunningAttempt) -> str:
    return f"job {attempt.lease.job_id} of {attempt.queue}, attempt {attempt.lease.attempt}"
