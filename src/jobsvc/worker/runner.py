"""Runs attempts: `async def` processors on the processor loop, plain ones in threads."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from contextvars import Context as Variables
from typing import Any

from google.rpc import code_pb2

from jobsvc.tracing.json_log import current_job_id
from jobsvc.v1.worker_service_pb2 import JobOutcome
from jobsvc.worker import payload
from jobsvc.worker.bound_processor import BoundProcessor
from jobsvc.worker.duration import from_duration, to_duration
from jobsvc.worker.failure import (
    UNDESCRIBED,
    describe,
    job_error,
    outcome_of,
    text_of,
    type_name,
)
from jobsvc.worker.mailbox import Mailbox
from jobsvc.worker.outcome import Cancelled, Ending, Outcome, cancelled, failed, released
from jobsvc.worker.reconnect_backoff import ReleaseBackoff
from jobsvc.worker.running_attempt import RunningAttempt, Stop
from jobsvc.worker.spans import ProcessSpans, record_failure
from jobsvc.worker.thread_pool import ThreadPool

#: More threads do not help one Python process.
MAX_THREADS = 256
#: Delay of a job for which the system had no thread.
_NO_THREAD_SECONDS = 1.0

log = logging.getLogger("jobsvc.worker")


class Runner:
    """Starts attempts, and hands each outcome to `report` in the thread where the attempt ended.

    `start` and `stop` are called on the session's thread, and do not wait for
    the processor loop: a processor that blocks it delays other `async def`
    processors, nothing else.

    Whatever a processor raises or returns becomes the outcome of its attempt. Should
    the runner itself fail, that attempt fails with WORKER_ERROR, and `end_worker` is
    called with a sentence that names the job, in the same thread: going on might use up
    the attempts of job after job.
    """

    def __init__(
        self,
        processors: Mapping[str, BoundProcessor],
        loop: asyncio.AbstractEventLoop,
        group: asyncio.TaskGroup,
        concurrency: int,
        spans: ProcessSpans | None,
        report: Callable[[Outcome], None],
        end_worker: Callable[[str], None],
    ) -> None:
        #: Largest output that the server takes.
        self.max_payload_bytes = 256 * 1024
        self._processors = processors
        self._group = group
        #: The task of the worker's block.
        self._block = asyncio.current_task(loop)
        self._spans = spans
        self._report = report
        self._end_worker = end_worker
        self._releases = ReleaseBackoff()
        self._encode = payload.encoder()
        self._threads = ThreadPool(min(concurrency, MAX_THREADS), self._run_in_thread)
        self._to_start = Mailbox[RunningAttempt](loop, self._start_tasks)
        self._to_cancel = Mailbox[RunningAttempt](loop, self._cancel_tasks)
        self._closed = False
        self._no_span = nullcontext()

    @property
    def stuck_threads(self) -> int:
        """Number of threads that have not returned though their attempt was stopped."""
        return self._threads.abandoned

    def start(self, attempts: list[RunningAttempt]) -> None:
        """Starts the attempts."""
        on_loop: list[RunningAttempt] = []
        for attempt in attempts:
            if self._processors[attempt.queue].is_async:
                on_loop.append(attempt)
            else:
                try:
                    self._threads.submit(attempt)
                except RuntimeError as error:
                    log.error("job %s of %s: %s", attempt.lease.job_id, attempt.queue, error)
                    self._report(released(attempt.lease_id, _NO_THREAD_SECONDS, f"{error}"))
        if on_loop:
            self._to_start.put_all(on_loop)

    def stop(self, attempt: RunningAttempt, stop: Stop) -> None:
        """Cancels a task. Tells a thread to stop, and abandons it if its outcome cannot count."""
        attempt.request_stop(stop)
        if self._processors[attempt.queue].is_async:
            self._to_cancel.put(attempt)
        elif stop is not Stop.CANCEL_REQUESTED:
            self._threads.abandon(attempt)

    def close(self) -> None:
        """Starts no more attempts. Must be called on the processor loop."""
        self._closed = True
        self._threads.close()

    def _start_tasks(self, attempts: list[RunningAttempt]) -> None:
        if self._closed:
            return
        create_task = self._group.create_task
        for attempt in attempts:
            attempt.task = create_task(self._run_in_task(attempt))

    def _cancel_tasks(self, attempts: list[RunningAttempt]) -> None:
        for attempt in attempts:
            # An attempt that has not begun reads the flag when it begins.
            if attempt.begun and attempt.task is not None:
                attempt.task.cancel()

    async def _run_in_task(self, attempt: RunningAttempt) -> None:
        try:
            with self._spans.process(attempt) if self._spans else self._no_span:
                prepared = self._prepare(attempt)
                if prepared is None:
                    return
                bound, value = prepared
                try:
                    result = await bound.call(value, attempt)
                except asyncio.CancelledError as exception:
                    self._report(self._failed(attempt, exception))
                    raise
                except BaseException as exception:
                    # SystemExit and KeyboardInterrupt too end this attempt only, not the
                    # process and every other job in it.
                    self._report(self._failed(attempt, exception))
                else:
                    self._report(self._returned(attempt, result))
        except asyncio.CancelledError:
            raise
        except BaseException as defect:
            self._note_defect(attempt, defect)

    def _run_in_thread(self, attempt: RunningAttempt) -> None:
        # The next job in this thread must not see the variables of this one.
        Variables().run(self._call_in_thread, attempt)

    def _call_in_thread(self, attempt: RunningAttempt) -> None:
        try:
            with self._spans.process(attempt) if self._spans else self._no_span:
                prepared = self._prepare(attempt)
                if prepared is None:
                    return
                bound, value = prepared
                try:
                    result = bound.call(value, attempt)
                except BaseException as exception:  # as above
                    self._report(self._failed(attempt, exception))
                else:
                    self._report(self._returned(attempt, result))
        except BaseException as defect:
            self._note_defect(attempt, defect)

    def _prepare(self, attempt: RunningAttempt) -> tuple[BoundProcessor, Any] | None:
        # Returns the decoded input; None if the attempt has ended and is reported.
        attempt.begun = True
        lease = attempt.lease
        # Each attempt has variables of its own.
        current_job_id.set(lease.job_id)
        if attempt.stop is not None:
            # This counts only if cancellation was requested; otherwise the lease has
            # ended or is lost, and the report is dropped.
            self._report(cancelled(lease.lease_id, "cancelled before it began"))
            return None
        attempt.begin_time = time.monotonic()
        bound = self._processors[lease.queue]
        try:
            return bound, bound.decode(payload.input_text(lease.input))
        except BaseException as error:  # the developer's types decode: they may raise anything
            why = text_of(error)
            self._tell(attempt, f"input: {why}")
            record_failure(error, None)
            self._report(payload.input_rejected(lease.lease_id, why))
            return None

    def _returned(self, attempt: RunningAttempt, value: Any) -> Outcome:
        # Any: the developer's function may return anything.
        outcome = payload.outcome_of_value(
            attempt.lease_id, value, self._encode, self.max_payload_bytes
        )
        self._releases.reset(attempt.queue)
        if not isinstance(outcome, str) and outcome.HasField("failure"):
            error = TypeError(outcome.failure.error.message)
            self._tell(attempt, outcome.failure.error.message, level=logging.ERROR)
            record_failure(error, None)
        return outcome

    def _failed(self, attempt: RunningAttempt, exception: BaseException) -> JobOutcome:
        record_failure(exception, attempt.stop)
        # The type alone is asked: what the exception says of its class may raise.
        kind = type(exception)
        stopped = issubclass(kind, asyncio.CancelledError | Cancelled)
        if stopped and attempt.stop is Stop.CANCEL_REQUESTED:
            return cancelled(attempt.lease_id)
        if stopped and self._is_leaving():
            return released(attempt.lease_id, 0.0, Stop.RELEASED.value)
        outcome = outcome_of(attempt.lease_id, exception)
        if stopped and attempt.stop:
            return outcome
        if outcome.HasField("release"):
            self._slow_down(attempt, outcome)
            return outcome
        self._releases.reset(attempt.queue)
        if issubclass(kind, Ending):
            # An exception that was raised on purpose needs no stack trace.
            self._tell(attempt, describe(exception))
        elif outcome.failure.error.stack_trace.endswith(UNDESCRIBED):
            # The log would trip over it as well.
            self._tell(attempt, f"failed: {type_name(exception)} {UNDESCRIBED}")
        else:
            self._tell(attempt, "failed", exception)
        return outcome

    def _is_leaving(self) -> bool:
        # Who cancels every task of the loop cancels the attempts along with the block.
        return self._closed or (self._block is not None and self._block.cancelling() > 0)

    def _slow_down(self, attempt: RunningAttempt, outcome: JobOutcome) -> None:
        # A processor that releases every job would spin them between server and worker.
        count, delay_seconds = self._releases.note(attempt.queue, time.monotonic())
        release = outcome.release
        if not release.HasField("delay"):
            release.delay.CopyFrom(to_duration(delay_seconds))
        why = release.reason or "no reason given"
        back = from_duration(release.delay)
        self._tell(attempt, f"released: {why} (release {count} in a row, back in {back:g} s)")

    def _note_defect(self, attempt: RunningAttempt, defect: BaseException) -> None:
        lease = attempt.lease
        problem = (
            f"the worker failed while it handled job {lease.job_id} of {lease.queue},"
            f" attempt {lease.attempt}: {describe(defect)}"
        )
        try:
            self._tell(attempt, "the worker itself failed", defect, logging.ERROR)
            error = job_error(code_pb2.INTERNAL, "WORKER_ERROR", problem)
            self._report(failed(lease.lease_id, error))
        finally:
            self._end_worker(problem)

    def _tell(
        self,
        attempt: RunningAttempt,
        what: str,
        exception: BaseException | None = None,
        level: int = logging.WARNING,
    ) -> None:
        lease = attempt.lease
        line = "job %s of %s, attempt %d: %s"
        with suppress(BaseException):  # a handler or filter of the developer's may raise
            log.log(level, line, lease.job_id, lease.queue, lease.attempt, what, exc_info=exception)
