"""What becomes of jobs, counted by queue: how each event is recorded, in one place."""

from collections import Counter
from collections.abc import Iterable

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

#: How many seconds a job waited or ran, and its `traceparent`.
Timed = tuple[float, str]

#: Values of `state`.
_COMPLETED, _FAILED, _CANCELLED = "COMPLETED", "FAILED", "CANCELLED"
#: `reason` of a job that has completed.
_OK = "OK"


class JobMeasurements:
    """The counters of jobs. Each method takes a batch, since each counter is looked up once."""

    def __init__(self, measurements: Measurements | None) -> None:
        measurements = Measurements() if measurements is None else measurements
        self._queue = measurements.queue
        self._jobs = measurements.jobs
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
            self._jobs.of(queue).created += count

    def born_leased(self, queues: Iterable[str]) -> None:
        """Records jobs that had not to wait, by the queue of each."""
        for queue, count in Counter(queues).items():
            self.waited(queue, [0.0] * count)

    def waited(self, queue: str, wait_seconds: Iterable[float], longest: Timed = (0, "")) -> None:
        """Records jobs of a queue that were leased, by how long each had been ready."""
        ordered, attribute = sorted(wait_seconds), self._queue(queue)
        self._wait.record_all(ordered, attribute)
        self._wait.exemplify(*longest, attribute)
        self._jobs.of(queue).waited(ordered)

    def completed(self, queue: str, runs: Iterable[Timed]) -> None:
        """Records jobs of a queue that completed, by how long each ran."""
        sorted_runs, attribute = sorted(runs), self._queue(queue)
        ordered = [seconds for seconds, _ in sorted_runs]
        self._ended.add(len(ordered), attribute, _COMPLETED, _OK)
        self._run.record_all(ordered, attribute)
        self._run.exemplify(*sorted_runs[-1], attribute)
        tally = self._jobs.of(queue)
        tally.completed += len(ordered)
        tally.ran(ordered)

    def ended(self, queue: str, state: str, reason: str, run: Timed) -> None:
        """Records a job that failed or was cancelled in the hands of a worker."""
        self._end(queue, state, reason, 1)
        self._ran(queue, run)

    def retried(self, queue: str, reason: str, run: Timed) -> None:
        """Records a job that waits again after a failed attempt."""
        self._retried.add(1, self._queue(queue), reason)
        self._jobs.of(queue).retried += 1
        self._ran(queue, run)

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
            self._end(queue, _FAILED, reason, count)

    def cancelled_waiting(self, queue: str, count: int) -> None:
        """Records jobs of a queue that were cancelled while they waited."""
        self._end(queue, _CANCELLED, _CANCELLED, count)

    def _end(self, queue: str, state: str, reason: str, count: int) -> None:
        self._ended.add(count, self._queue(queue), state, reason)
        tally = self._jobs.of(queue)
        if state == _FAILED:
            tally.fail(count, reason)
        else:
            tally.cancelled += count

    def _ran(self, queue: str, run: Timed) -> None:
        attribute = self._queue(queue)
        self._run.record(run[0], attribute)
        self._run.exemplify(*run, attribute)
        self._jobs.of(queue).ran((run[0],))
