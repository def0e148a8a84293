"""What happens to the jobs of a fake client, one step after the other."""

from dataclasses import dataclass

from jobsvc.client.job import JobError, JobState
from jobsvc.client.payload import PayloadLike, encode_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A status that a job comes to. The functions below make those that are needed as a rule."""

    state: JobState
    progress_percent: int | None = None
    progress_message: str = ""
    output_json: str | None = None
    error: JobError | None = None


def running(percent: int | None = None, message: str = "") -> Step:
    """A worker has the job, with so much progress."""
    return Step(state=JobState.PROCESSING, progress_percent=percent, progress_message=message)


def completed(output: PayloadLike | None = None) -> Step:
    """The job completes; without an output, with the empty object.

    Raises:
        TypeError, ValueError: the output has no JSON form, or is no JSON object.
    """
    text = "{}" if output is None else encode_payload(output)
    return Step(state=JobState.COMPLETED, output_json=text)


def failed(code: str = "UNKNOWN", reason: str = "", message: str = "") -> Step:
    """The job fails for good."""
    error = JobError(code=code, reason=reason, message=message)
    return Step(state=JobState.FAILED, error=error)


def requeued(code: str = "UNAVAILABLE", reason: str = "", message: str = "") -> Step:
    """An attempt fails, and the job waits to be tried again."""
    error = JobError(code=code, reason=reason, message=message)
    return Step(state=JobState.PENDING, error=error)


def cancelled() -> Step:
    """The job is cancelled."""
    return Step(state=JobState.CANCELLED)
