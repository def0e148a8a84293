"""What becomes of jobs, counted by queue: how each event is recorded, in one place."""

from collections import Counter
from collections.abc import Iterable, Sequence

from jobsvc.telemetry.catalogue import (
    JOB_RUN,
    JOB_WAIT,
    JOBS_CREATED,
    JOBS_ENDED,
    JOBS_REDELIVERED,
    JOBS_RELEASED,
    JOBS_RESCUED,
    JOBS_RETRIED,
)
from jobsvc.telemetry.measurements import Measurements

#: How many seconds an attempt ran, and the `traceparent` of its job.
Run = tuple[float, str]

#: Values of `state`.
_COMPLETED, _FAILED, _CANCELLED = "COMPLETED", "FAILED", "CANCELLED"
#: `reason` of a job that has completed.
_OK = "OK"


class JobMeasurements:
    """The counters of jobs. Each method takes a batch, since each counter is looked up once."""

    def __init__(self, measurements: Measurements | None) -> None:
        measurements = Measurements() if measurements is None else measurements
        self._queue = measurements.queue
        self._created = measurements.tally(JOBS_CREATED)
        self._ended = measurements.tally(JOBS_ENDED)
        self._retried = measurements.tally(JOBS_RETRIED)
        self._released = measurements.tally(JOBS_RELEASED)
        self._redelivered = measurements.tally(JOBS_REDELIVERED)
        self._rescued = measurements.tally(JOBS_RESCUED)
        self._run = measurements.distribution(JOB_RUN)
        self._wait = measurements.distribution(JOB_WAIT)

    def created(self, queues: Iterable[str]) -> None:
        """Records created jobs, by the queue of each."""
        for queue, count in Counter(queues).items():
            self._created.add(count, self._queue(queue))

    def born_leased(self, queues: Iterable[str]) -> None:
        """Records jobs that had not to wait, by the queue of each."""
        for queue, count in Counter(queues).items():
            self._wait.record_all([0.0] * count, self._queue(queue))

    def completed(self, queue: str, runs: Sequence[Run]) -> None:
        """Records jobs of a queue that completed."""
        queue = self._queue(queue)
        self._ended.add(len(runs), queue, _COMPLETED, _OK)
        self._run.record_all([seconds for seconds, _ in runs], queue)
        self._run.exemplify(*max(runs), queue)

    def ended(self, queue: str, state: str, reason: str, run: Run) -> None:
        """Records a job that failed or was cancelled in the hands of a worker."""
        queue = self._queue(queue)
        self._ended.add(1, queue, state, reason)
        self._ran(queue, run)

    def retried(self, queue: str, reason: str, run: Run) -> None:
        """Records a job that waits again after a failed attempt."""
        queue = self._queue(queue)
        self._retried.add(1, queue, reason)
        self._ran(queue, run)

    def _ran(self, queue: str, run: Run) -> None:
        self._run.record(run[0], queue)
        self._run.exemplify(*run, queue)

    def released(self, queue: str) -> None:
        """Records a job that its worker handed back undone."""
        self._released.add(1, self._queue(queue))

    def redelivered(self, queues: Iterable[str]) -> None:
        """Records jobs that did not reach their workers, by the queue of each."""
        for queue, count in Counter(queues).items():
            self._redelivered.add(count, self._queue(queue))

    def rescued(self, queue: str, reason: str) -> None:
        """Records a lease that the rescue ended."""
        self._rescued.add(1, self._queue(queue), reason)

    def expired(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Records jobs that failed while they waited, by queue and reason."""
        for (queue, reason), count in Counter(jobs).items():
            self._ended.add(count, self._queue(queue), _FAILED, reason)

    def cancelled_waiting(self, queue: str, count: int) -> None:
        """Records jobs of a queue that were cancelled while they waited."""
        self._ended.add(count, self._queue(queue), _CANCELLED, _CANCELLED)
