"""What a worker measures."""

import time

from jobsvc.telemetry.catalogue import (
    WORKER_ATTEMPTS,
    WORKER_RESENT,
    WORKER_RUN,
    WORKER_SLOTS,
    WORKER_UNCONFIRMED,
    WORKER_WAITING,
)
from jobsvc.telemetry.measurements import Attributes, Measurements
from jobsvc.worker.lease_book import LeaseBook
from jobsvc.worker.outcome import Outcome
from jobsvc.worker.running_attempt import RunningAttempt

_OUTCOMES = {"success": "succeeded", "failure": "failed", "release": "released"}


def measure_book(
    measurements: Measurements, book: LeaseBook[RunningAttempt], concurrency: int
) -> None:
    """Adds the gauges of a worker's leases and outcomes."""

    def slots() -> list[tuple[Attributes, float]]:
        used = book.running
        return [(("used",), used), (("free",), max(concurrency - used, 0))]

    measurements.gauge(WORKER_SLOTS, slots)
    measurements.gauge(WORKER_WAITING, lambda: [((), book.waiting)])
    measurements.gauge(WORKER_UNCONFIRMED, lambda: [((), book.unconfirmed)])
    measurements.gauge(WORKER_RESENT, lambda: [((), book.resent)])


class AttemptMeasurements:
    """Attempts and how long they ran. Used on the session's thread."""

    def __init__(self, measurements: Measurements) -> None:
        self._attempts = measurements.tally(WORKER_ATTEMPTS)
        self._run = measurements.distribution(WORKER_RUN)

    def ended(self, attempt: RunningAttempt, outcome: Outcome) -> None:
        """Records an attempt that ended; one that had not begun is none."""
        if isinstance(outcome, str):
            self._record(attempt, "succeeded")
        else:
            kind = outcome.WhichOneof("result") or ""
            self._record(attempt, _OUTCOMES.get(kind, kind))

    def lost(self, attempt: RunningAttempt) -> None:
        """Records an attempt that lost its lease."""
        self._record(attempt, "lost")

    def _record(self, attempt: RunningAttempt, outcome: str) -> None:
        if attempt.begin_time:
            self._attempts.add(1, attempt.queue, outcome)
            run_seconds = time.monotonic() - attempt.begin_time
            self._run.record(run_seconds, attempt.queue)
            self._run.exemplify(run_seconds, attempt.lease.traceparent, attempt.queue)
