"""The worker's side of the `Work` protocol without its I/O: frames in, frames out, state between.

Never awaits. Runs on the session's thread; the clock's reading is always an argument.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from math import inf

from google.rpc import code_pb2

from jobsvc.telemetry.catalogue import WORKER_CONNECTED
from jobsvc.telemetry.measurements import Measurements
from jobsvc.v1.job_pb2 import JobProgress
from jobsvc.v1.worker_service_pb2 import (
    JobOutcome,
    LeaseExtension,
    LeaseJobsResponse,
    LeaseState,
    LeaseStatus,
    OutcomeResult,
    Subscribed,
    WorkRequest,
    WorkResponse,
)
from jobsvc.worker.attempt_times import sort_by_time
from jobsvc.worker.duration import from_duration
from jobsvc.worker.failure import job_error
from jobsvc.worker.lease_book import LeaseBook
from jobsvc.worker.measurements import AttemptMeasurements, measure_book
from jobsvc.worker.outbox import Outbox
from jobsvc.worker.outcome import Outcome, cancelled, failed, released, with_progress
from jobsvc.worker.refusal_log import RefusalLog
from jobsvc.worker.runner import Runner
from jobsvc.worker.running_attempt import RunningAttempt, Stop
from jobsvc.worker.window import Window

#: Shortest time between two frames with progress.
PROGRESS_SECONDS = 0.2
#: Longest time between two ticks. No attempt_timeout is shorter.
TICK_SECONDS = 0.5
#: Delay before an outcome that the server could not store is sent again.
RESEND_SECONDS = 0.5
#: Delay of a job whose queue this worker did not subscribe to.
_MISDELIVERED_SECONDS = 60.0

log = logging.getLogger("jobsvc.worker")


class WorkProtocol:
    """Turns the server's frames into work, and the state of the work into frames."""

    def __init__(
        self,
        runner: Runner,
        queues: Mapping[str, object],
        concurrency: int,
        window: int,
        tell_progress: Callable[[RunningAttempt], None],
        measurements: Measurements | None = None,
    ) -> None:
        measurements = Measurements() if measurements is None else measurements
        self._measured = AttemptMeasurements(measurements)
        self.book = LeaseBook[RunningAttempt](concurrency)
        self.refusals = RefusalLog()
        self._window = Window(concurrency, window)
        self.outbox = Outbox(self.book, window)
        measure_book(measurements, self.book, concurrency)
        measurements.gauge(WORKER_CONNECTED, lambda: [((), self._connected)])
        self._blocker: RunningAttempt | None = None
        self._runner = runner
        self._queues = queues
        self._tell_progress = tell_progress
        self._connected = False
        self._extend_seconds = 10.0
        self._extend_at = inf
        self._progressed: dict[str, RunningAttempt] = {}
        self._progress_at = -inf
        self._resend_at = inf

    @property
    def window(self) -> int:
        """The window that the server should know."""
        return self._window.leases

    # From the server.

    def connect(self, subscribed: Subscribed, window_sent: int, now: float) -> None:
        """Takes up a new stream: every unconfirmed outcome is sent on it, again if need be."""
        self._resend_at = self.outbox.connect(subscribed, window_sent, now)
        if subscribed.limits.max_payload_bytes:
            self._runner.max_payload_bytes = subscribed.limits.max_payload_bytes
        self._extend_seconds = from_duration(subscribed.extend_interval) or 10.0
        self._connected = True
        # Leases that outlived the break may be about to expire.
        self._extend_at = now if self.book.open else now + self._extend_seconds
        self._note_statuses(subscribed.held_leases)

    def disconnect(self) -> None:
        """Notes that the stream is gone. The leases stay, and so does the work."""
        self._connected = False

    def receive(self, frame: WorkResponse, now: float) -> None:
        """Acts on a `dispatch`, `outcome_results` or `lease_statuses` frame."""
        match frame.WhichOneof("frame"):
            case "dispatch":
                self._take(frame.dispatch, now)
            case "outcome_results":
                for lease_id in frame.outcome_results.committed_lease_ids:
                    self.book.forget(lease_id)
                for result in frame.outcome_results.results:
                    if result.status.code == code_pb2.OK:
                        self.book.forget(result.lease_id)
                    else:
                        self._note_refusal(result, now)
            case "lease_statuses":
                self._note_statuses(frame.lease_statuses.leases)

    def _take(self, dispatch: LeaseJobsResponse, now: float) -> None:
        expires_in = from_duration(dispatch.expires_in)
        if expires_in and expires_in / 3 < self._extend_seconds:
            self._extend_seconds = expires_in / 3
            self._extend_at = min(self._extend_at, now + self._extend_seconds)
        log.debug("%d jobs came", len(dispatch.leases))
        for lease in dispatch.leases:
            attempt = RunningAttempt(lease, now, self._tell_progress)
            if self.book.take(attempt.lease_id, attempt) and attempt.queue not in self._queues:
                log.error("job %s is of queue %s, not one of ours", lease.job_id, attempt.queue)
                reason = "the worker has no processor for this queue"
                self.book.end(released(attempt.lease_id, _MISDELIVERED_SECONDS, reason))
        if self._window.retired:  # sent before the server knew
            self.retire()
        self._runner.start(self.book.start())

    def _note_statuses(self, statuses: Iterable[LeaseStatus]) -> None:
        for status in statuses:
            if status.state == LeaseState.LEASE_STATE_LOST:
                lost = self.book.lose(status.lease_id)
                if lost is not None:
                    self.refusals.lost(status, lost)
                    self._measured.lost(lost)
                    self._runner.stop(lost, Stop.LOST)
            elif status.state == LeaseState.LEASE_STATE_CANCEL_REQUESTED:
                attempt = self.book.find(status.lease_id)
                if attempt is None or attempt.stop is not None:
                    continue
                if self.book.waits(status.lease_id):
                    self.book.end(cancelled(status.lease_id, "cancelled before it began"))
                else:
                    self._runner.stop(attempt, Stop.CANCEL_REQUESTED)
        self._runner.start(self.book.start())

    def _note_refusal(self, result: OutcomeResult, now: float) -> None:
        attempt = self.book.ended(result.lease_id)
        match result.status.code:
            case code_pb2.FAILED_PRECONDITION | code_pb2.NOT_FOUND:
                self.refusals.came_too_late(result, attempt)
                self.book.forget(result.lease_id)
            case code_pb2.INVALID_ARGUMENT:
                error = job_error(code_pb2.INTERNAL, "OUTCOME_REJECTED", result.status.message)
                kept = self.book.replace(failed(result.lease_id, error, retryable=False))
                self.refusals.is_malformed(result, attempt, kept)
            case _:
                self.refusals.is_deferred(result, attempt)
                self.book.defer(result.lease_id)
                self._resend_at = min(self._resend_at, now + RESEND_SECONDS)

    # From the processors.

    def collect(self, outcomes: list[Outcome]) -> None:
        """Notes how attempts ended; drops outcomes whose lease is gone."""
        end = self.book.end
        for outcome in outcomes:
            attempt = end(outcome)
            if attempt is not None:
                self._measured.ended(attempt, outcome)
                if attempt.progress is not None:
                    self._add_progress(attempt, outcome)
        self._runner.start(self.book.start())

    def note_progress(self, attempts: list[RunningAttempt]) -> None:
        """Notes attempts that have progress to send."""
        for attempt in attempts:
            self._progressed[attempt.lease_id] = attempt

    # By the clock.

    def tick(self, now: float) -> float:
        """Does everything that is due, and returns the time of the next tick."""
        due = min(now + TICK_SECONDS, self._look_at_times(now))
        self._window.grow(now)
        if self._resend_at <= now:
            self._resend_at = inf
            self.book.resend_deferred()
        if not self._connected:
            return due
        if self._progressed and self._progress_at <= now:
            self._progress_at = now + PROGRESS_SECONDS
            self._extend_progressed()
        if self._extend_at <= now:
            self._extend_at = now + self._extend_seconds
            self.outbox.extend(LeaseExtension(lease_id=i) for i in self.book.extend())
        if self._progressed:
            due = min(due, self._progress_at)
        return min(due, self._extend_at, self._resend_at)

    def _look_at_times(self, now: float) -> float:
        # Returns the earliest time that is left.
        late, waited, earliest = sort_by_time(self.book.attempts(), now)
        for attempt in late:
            self._time_out(attempt)
        for attempt in waited:
            self._release(attempt, Stop.NOT_BEGUN)
        if waited:
            log.info("%d jobs waited for too long and were handed back", len(waited))
            self._window.shrink(self.book.open, now)
        if late or waited:
            self._runner.start(self.book.start())
        return earliest

    def _time_out(self, attempt: RunningAttempt) -> None:
        if self._blocker not in (None, attempt) and attempt.task is not None:
            # Another one kept it from going on.
            self._release(attempt, Stop.TIMED_OUT)
            return
        log.warning("job %s of %s: attempt timed out", attempt.lease.job_id, attempt.queue)
        error = job_error(code_pb2.DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT", Stop.TIMED_OUT.value)
        self._end(attempt, failed(attempt.lease_id, error), Stop.TIMED_OUT)

    def _extend_progressed(self) -> None:
        for lease_id, attempt in self._progressed.items():
            # The flag first: later progress is announced again.
            attempt.progress_told = False
            progress = attempt.progress
            if progress is not None and self.book.find(lease_id) is attempt:
                percent, message = progress
                latest = JobProgress(percent=percent, message=message)
                self.outbox.extend([LeaseExtension(lease_id=lease_id, progress=latest)])
        self._progressed.clear()

    def pause(self, paused: bool, blocker: RunningAttempt | None = None) -> None:
        """Takes no more jobs while `paused`. `blocker` blocks the processor loop; None: unknown."""
        self._window.paused = paused
        self._blocker = blocker

    def fail_blocker(self, problem: str) -> None:
        """Fails the attempt that blocks the processor loop, if it is known."""
        if self._blocker is not None:
            error = job_error(code_pb2.DEADLINE_EXCEEDED, "LOOP_BLOCKED", problem)
            self._end(self._blocker, failed(self._blocker.lease_id, error), Stop.TIMED_OUT)

    # On leaving.

    def retire(self) -> None:
        """Takes no more jobs; releases those that have not begun."""
        self._window.retired = True
        for attempt in list(self.book.attempts()):
            if self.book.waits(attempt.lease_id):
                self._release(attempt, Stop.RELEASED)

    def release_rest(self) -> int:
        """Stops and releases all jobs that are left; returns how many."""
        rest = list(self.book.attempts())
        for attempt in rest:
            self._release(attempt, Stop.RELEASED)
        return len(rest)

    def _release(self, attempt: RunningAttempt, stop: Stop) -> None:
        self._end(attempt, released(attempt.lease_id, 0.0, stop.value), stop)

    def _end(self, attempt: RunningAttempt, outcome: JobOutcome, stop: Stop) -> None:
        # Does not wait for the processor: it may never return.
        waited = self.book.waits(attempt.lease_id)
        self.book.end(outcome)
        self._measured.ended(attempt, outcome)
        self._add_progress(attempt, outcome)
        if not waited:
            self._runner.stop(attempt, stop)

    def _add_progress(self, attempt: RunningAttempt, outcome: Outcome) -> None:
        # Also progress that was sent: the server may record the outcome before it, or have lost it.
        if attempt.progress is not None:
            self.book.amend(with_progress(outcome, *attempt.progress))

    # To the server.

    def next_frame(self, room_bytes: float = inf) -> WorkRequest | None:
        """Returns the next frame to send, as `Outbox.next_frame`."""
        return self.outbox.next_frame(self.window, room_bytes)
