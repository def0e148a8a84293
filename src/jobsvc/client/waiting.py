"""How a wait of any length is made of calls of bounded length. Pure: no clock, no I/O."""

from jobsvc.client.errors import CallFailed
from jobsvc.client.job import Job
from jobsvc.client.reconnect import ReconnectPolicy

#: The longest wait that the server grants in one call.
CALL_SECONDS = 60.0


class Waiting:
    """One `wait`: until the job ends, or until `timeout` seconds after `now` (None: forever)."""

    def __init__(self, timeout: float | None, now: float, patience: ReconnectPolicy) -> None:
        self._until = None if timeout is None else now + timeout
        self._patience = patience

    def call_seconds(self, now: float) -> float:
        """How long the next call may wait."""
        if self._until is None:
            return CALL_SECONDS
        return min(CALL_SECONDS, max(0.0, self._until - now))

    def answered(self, job: Job, now: float) -> bool:
        """Whether `job`, just read, is the answer."""
        self._patience.answered()
        return job.ended or (self._until is not None and now >= self._until)

    def pause_seconds(self, failure: CallFailed, now: float, spread: float) -> float | None:
        """How long to wait before the next try; None to give up."""
        pause = self._patience.pause_seconds(failure, now, spread)
        if pause is not None and self._until is not None and now + pause > self._until:
            return None
        return pause
