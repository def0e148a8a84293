"""A job as text: JSON for programs, a table for people."""

import json
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobsvc.client import Job, JobError, JobState, JobUpdate

#: Colours of the states, wherever a state is shown.
STATE_STYLES = {
    JobState.PENDING: "yellow",
    JobState.PROCESSING: "cyan",
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
}
_WAIT_REASONS = {
    "SCHEDULE_TIME": "waits for its time",
    "RETRY_DELAY": "waits to be tried again",
    "NO_WORKER": "no worker is subscribed to its queue",
    "WORKERS_BUSY": "all workers are busy",
    "QUEUE_PAUSED": "its queue is paused",
}


def job_json(value: Job | JobUpdate, indent: int | None = None) -> str:
    """Returns a job or an update as a JSON object: the fields of the class, payloads as JSON."""
    return json.dumps(value.as_dict(), indent=indent, ensure_ascii=False)


def error_text(error: JobError) -> str:
    """Returns the error of an attempt in one line."""
    cause = f" ({error.reason})" if error.reason else ""
    return f"{error.code}{cause}: {error.message}"


def state_text(state: JobState) -> Text:
    """Returns a state in its colour."""
    return Text(state.name, STATE_STYLES.get(state, ""))


def time_text(time: datetime) -> str:
    """Returns a time in the local time zone, to the millisecond."""
    return time.astimezone().isoformat(sep=" ", timespec="milliseconds")


def print_job(job: Job, console: Console) -> None:
    """Prints everything about a job that the server returned."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(job):
        table.add_row(name, value)
    console.print(table)
    if job.status.recent_attempts:
        attempts = Table("attempt", "worker", "start", "end", "error", box=None, header_style="dim")
        for attempt in job.status.recent_attempts:
            attempts.add_row(
                str(attempt.attempt),
                Text(attempt.worker_id),
                time_text(attempt.start_time) if attempt.start_time else "",
                time_text(attempt.end_time) if attempt.end_time else "",
                Text(error_text(attempt.error)) if attempt.error else "",
            )
        console.print(attempts)


def _facts(job: Job) -> Iterator[tuple[str, str | Text]]:
    """Yields the lines of `print_job`; a missing fact has no line."""
    status = job.status
    yield "job", job.id
    yield "queue", job.queue
    yield "state", state_text(status.state)
    if status.wait_reason:
        yield "waits", _WAIT_REASONS.get(status.wait_reason, status.wait_reason)
    if status.attempt:
        yield "attempt", f"{status.attempt} of {job.max_attempts or '?'}"
    if status.progress_percent is not None:
        yield "progress", Text(f"{status.progress_percent} % {status.progress_message}".rstrip())
    if status.error:
        yield "error", Text(error_text(status.error), "red")
    if status.worker_id:
        yield "worker", Text(status.worker_id)
    times = {
        "created": job.create_time,
        "due": status.next_attempt_time,
        "started": status.start_time,
        "ended": status.end_time,
        "cancel asked": status.cancel_request_time,
        "expires": job.expire_time,
        "kept until": job.purge_time,
    }
    for name, time in times.items():
        if time is not None:
            yield name, time_text(time)
    if job.priority:
        yield "priority", str(job.priority)
    if job.unique_key:
        yield "unique key", Text(job.unique_key)
    for key, value in job.labels.items():
        yield "label", Text(f"{key}={value}")
    if job.traceparent:
        yield "trace", job.traceparent
    if job.input_json is not None:
        yield "input", Text(_pretty(job.input_json))
    if status.output_json is not None:
        yield "output", Text(_pretty(status.output_json))


def _pretty(text: str) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
