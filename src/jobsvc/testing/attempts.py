"""One attempt of a processor, from JSON to what becomes of the job, without server or database."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict, Unpack

import msgspec
from google.rpc import code_pb2

from jobsvc.api.convert.leases import outcome as read_outcome
from jobsvc.client.job import JobError, JobState
from jobsvc.client.payload import PayloadLike, decode_payload, encode_payload
from jobsvc.domain import job as stored
from jobsvc.domain.lease import LeaseTerms
from jobsvc.domain.outcome import Finish, Outcome, Success, decide
from jobsvc.domain.retry import RetryPolicy
from jobsvc.domain.run_policy import RunPolicy, server_defaults
from jobsvc.domain.schema import Schema
from jobsvc.jobs.settle import check_output
from jobsvc.settings import Settings
from jobsvc.worker.context import PreviousError
from jobsvc.worker.processor import AnyProcessor
from jobsvc.worker.trial import FIRST_JOB_ID, Trial, TrialFacts, try_processor

_SETTINGS = Settings()
#: Of an attempt whose processor sets none.
_TIMEOUT_SECONDS = 60.0


class AttemptFacts(TypedDict, total=False):
    """What a job may bring to an attempt besides its input; as in `Context`."""

    job_id: str
    attempt: int
    #: None: as the processor says, or the server's default.
    max_attempts: int | None
    labels: Mapping[str, str]
    user_id: str
    previous_error: PreviousError | None
    #: A test should not wait for the 15 minutes of a server: a minute, unless the processor says
    #: less.
    attempt_timeout: float | timedelta
    #: Asks for the cancellation of the job after so many seconds.
    cancel_after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOutcome:
    """What becomes of the job: `state` COMPLETED, FAILED or CANCELLED if it ends, PENDING if it is
    tried again after `retry_delay_seconds` (without the random fifth that a server adds or takes),
    or was released: then the attempt is not used."""

    state: JobState
    output_json: str | None = None
    error: JobError | None = None
    retry_delay_seconds: float | None = None
    attempt_used: bool = True
    #: Percent and message of the last progress.
    progress: tuple[int, str] | None = None

    @property
    def output(self) -> Any:  # Any: whatever JSON the processor returned
        """The result as Python objects; None while there is none."""
        return decode_payload(self.output_json)


async def run_processor_async(
    processor: AnyProcessor, input: PayloadLike | None = None, **facts: Unpack[AttemptFacts]
) -> AttemptOutcome:
    """Runs one attempt on the running loop, a plain function in a thread.

    The input (an object, or JSON text) is decoded as a worker decodes it, and what the processor
    returns or raises is encoded as a worker does; then the server's rules decide: the schema of
    the output, the code of the error, the attempts that are left.

    Raises:
        ProcessorInvalid: the processor cannot be used as it is written.
        TypeError, ValueError: the input has no JSON form, or is no JSON object.
    """
    policy = _policy(processor, facts.get("max_attempts"))
    text = "{}" if input is None else encode_payload(input)
    attempt = facts.get("attempt", 1)
    own_timeout = processor.attempt_timeout
    timeout = facts.get("attempt_timeout", _TIMEOUT_SECONDS if own_timeout is None else own_timeout)
    asked = TrialFacts(
        job_id=facts.get("job_id", FIRST_JOB_ID),
        attempt=attempt,
        last_attempt=attempt >= policy.max_attempts,
        labels=facts.get("labels", {}),
        user_id=facts.get("user_id", ""),
        previous_error=facts.get("previous_error"),
        attempt_timeout_seconds=_seconds(timeout),
        max_payload_bytes=_SETTINGS.max_payload_bytes,
        cancel_after_seconds=facts.get("cancel_after"),
    )
    trial = await try_processor(processor, text, asked)
    terms = LeaseTerms(
        queue=processor.queue,
        worker_id="",
        attempt=attempt,
        retry=policy,
        cancel_requested=trial.cancel_requested,
        retention_seconds=None,
        output_schema_id=None,
        traceparent="",
        tracestate="",
    )
    return _decided(terms, _checked(trial), trial.progress)


def run_processor(
    processor: AnyProcessor, input: PayloadLike | None = None, **facts: Unpack[AttemptFacts]
) -> AttemptOutcome:
    """As `run_processor_async`, for code that blocks: on an event loop of its own.

    Raises: as `run_processor_async`, and
        RuntimeError: an event loop is running here; await `run_processor_async` instead.
    """
    attempt = run_processor_async(processor, input, **facts)
    try:
        return asyncio.run(attempt)
    except RuntimeError:
        attempt.close()  # not begun, if a loop was running
        raise


def _seconds(duration: float | timedelta) -> float:
    return duration.total_seconds() if isinstance(duration, timedelta) else float(duration)


def _policy(processor: AnyProcessor, max_attempts: int | None) -> RetryPolicy:
    """The policy of the processor's queue, where the job sets `max_attempts` alone."""
    own = RunPolicy(max_attempts=max_attempts)
    retry = processor.retry
    if retry is not None:
        own = own.over(
            RunPolicy(
                retry.max_attempts or None,
                None if retry.initial_backoff is None else _seconds(retry.initial_backoff),
                None if retry.max_backoff is None else _seconds(retry.max_backoff),
                retry.backoff_multiplier or None,
            )
        )
    whole = own.over(server_defaults(_SETTINGS))
    return RetryPolicy(
        whole.max_attempts or 1,
        whole.initial_backoff_seconds or 0.0,
        whole.max_backoff_seconds or 0.0,
        whole.backoff_multiplier or 1.0,
    )


def _checked(trial: Trial) -> Outcome:
    """The outcome as the server reads it, and after its check of the output."""
    outcome = read_outcome(trial.outcome, _SETTINGS.max_payload_bytes)
    if trial.output_schema is None or not isinstance(outcome, Success):
        return outcome
    return check_output(outcome, Schema(msgspec.json.encode(trial.output_schema).decode()))


def _decided(
    terms: LeaseTerms, outcome: Outcome, progress: tuple[int, str] | None
) -> AttemptOutcome:
    verdict = decide(terms, outcome, 0.0)
    error = None if verdict.error is None else _error(verdict.error)
    if not isinstance(verdict, Finish):
        return AttemptOutcome(
            state=JobState.PENDING,
            error=error,
            retry_delay_seconds=verdict.delay_seconds,
            attempt_used=verdict.attempt_used,
            progress=progress,
        )
    output = verdict.output
    if verdict.state is stored.JobState.COMPLETED:
        output = output or "{}"
    return AttemptOutcome(
        state=JobState[verdict.state.name], output_json=output, error=error, progress=progress
    )


def _error(error: stored.JobError) -> JobError:
    return JobError(
        code=code_pb2.Code.Name(error.code),
        reason=error.reason,
        message=error.message,
        metadata=error.metadata,
        stack_trace=error.stack_trace,
    )
