"""One attempt without a server: the input is decoded, the processor runs, the outcome is encoded,
each by what does it for real jobs."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from google.rpc import code_pb2

from jobsvc.v1.job_pb2 import JobError
from jobsvc.v1.worker_service_pb2 import JobLease, JobOutcome, ReportOutcomesRequest
from jobsvc.worker.bound_processor import bind
from jobsvc.worker.context import PreviousError
from jobsvc.worker.duration import to_duration
from jobsvc.worker.failure import job_error
from jobsvc.worker.outcome import Outcome, failed, report
from jobsvc.worker.processor import AnyProcessor
from jobsvc.worker.runner import Runner
from jobsvc.worker.running_attempt import RunningAttempt, Stop
from jobsvc.worker.schema_writer import Schema

#: The job of an attempt that names none.
FIRST_JOB_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFacts:
    """What a job brings to an attempt besides its input."""

    job_id: str = FIRST_JOB_ID
    attempt: int = 1
    last_attempt: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    user_id: str = ""
    previous_error: PreviousError | None = None
    attempt_timeout_seconds: float = 900.0
    max_payload_bytes: int = 256 * 1024
    cancel_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """How an attempt ended: its outcome as the server would have read it, whether the cancellation
    of the job was requested meanwhile, the last progress, and the schema of the output."""

    outcome: JobOutcome
    cancel_requested: bool
    progress: tuple[int, str] | None
    output_schema: Schema | None


async def try_processor(processor: AnyProcessor, input_text: str, facts: TrialFacts) -> Trial:
    """Runs one attempt on the running loop, a plain function in a thread.

    Raises:
        ProcessorInvalid: the processor cannot be used as it is written.
        RuntimeError: the worker itself failed.
    """
    bound = bind(processor)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[Outcome] = loop.create_future()
    defects: list[str] = []

    def end(outcome: Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    def report_outcome(outcome: Outcome) -> None:
        # In the thread of a plain function, which may return long after its time.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(end, outcome)

    attempt = RunningAttempt(
        _lease(processor.queue, input_text, facts), time.monotonic(), lambda _: None
    )
    async with asyncio.TaskGroup() as group:
        runner = Runner(
            {processor.queue: bound},
            loop,
            group,
            1,
            None,
            report_outcome,
            defects.append,
        )
        runner.max_payload_bytes = facts.max_payload_bytes
        runner.start([attempt])

        def time_out() -> None:
            error = job_error(code_pb2.DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT", Stop.TIMED_OUT.value)
            end(failed(attempt.lease_id, error))
            runner.stop(attempt, Stop.TIMED_OUT)

        timers = [loop.call_later(facts.attempt_timeout_seconds, time_out)]
        if facts.cancel_after_seconds is not None:
            timers.append(
                loop.call_later(
                    facts.cancel_after_seconds, runner.stop, attempt, Stop.CANCEL_REQUESTED
                )
            )
        try:
            outcome = await ended
        finally:
            for timer in timers:
                timer.cancel()
            runner.close()
    if defects:
        raise RuntimeError(defects[0])
    # As on the wire.
    sent = report([outcome], takes_ids=False).SerializeToString()
    [message] = ReportOutcomesRequest.FromString(sent).outcomes
    cancel_requested = attempt.stop is Stop.CANCEL_REQUESTED
    return Trial(message, cancel_requested, attempt.progress, bound.output_schema)


def _lease(queue: str, input_text: str, facts: TrialFacts) -> JobLease:
    lease = JobLease(
        lease_id=f"{facts.job_id}.1",
        job_id=facts.job_id,
        queue=queue,
        attempt=facts.attempt,
        last_attempt=facts.last_attempt,
        labels=facts.labels,
        attempt_timeout=to_duration(facts.attempt_timeout_seconds),
    )
    lease.input.json_text = input_text
    lease.owner.user_id = facts.user_id
    lease.create_time.GetCurrentTime()
    error = facts.previous_error
    if error is not None:
        code = code_pb2.Code.Value(error.code)
        lease.previous_error.CopyFrom(
            JobError(code=code, reason=error.reason, message=error.message)
        )
    # As on the wire: what no message can carry fails here.
    return JobLease.FromString(lease.SerializeToString())
