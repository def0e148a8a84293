"""A job as text: JSON for programs, a table for people."""

import json
from collections.abc import Iterator
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobsvc.client import AttemptRecord, Job, JobCount, JobError, JobState, JobUpdate
from jobsvc.plain_text import json_text, lines, one_line

#: Colours of the states, wherever a state is shown.
STATE_STYLES = {
    JobState.PENDING: "yellow",
    JobState.PROCESSING: "cyan",
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
}
#: Of the facts of a job, where they are plain text.
_NAME_WIDTH = 14
_WAIT_REASONS = {
    "SCHEDULE_TIME": "waits for its time",
    "RETRY_DELAY": "waits to be tried again",
    "NO_WORKER": "no worker is subscribed to its queue",
    "WORKERS_BUSY": "all workers are busy",
    "QUEUE_PAUSED": "its queue is paused",
}


def job_json(value: Job | JobCount | JobUpdate, indent: int | None = None) -> str:
    """Returns the fields of a job, an update or a count as a JSON object, payloads as JSON."""
    return json_text(json.dumps(value.as_dict(), indent=indent, ensure_ascii=False))


def error_text(error: JobError) -> str:
    """Returns the error of an attempt."""
    cause = f" ({error.reason})" if error.reason else ""
    return f"{error.code}{cause}: {error.message}"


def state_text(state: JobState) -> Text:
    """Returns a state in its colour."""
    return Text(state.name, STATE_STYLES.get(state, ""))


def wait_text(reason: str) -> str:
    """Returns the reason why a job waits in words."""
    return _WAIT_REASONS.get(reason, reason)


def time_text(time: datetime) -> str:
    """Returns a time in the local time zone, to the second."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def print_job(job: Job, console: Console) -> None:
    """Prints everything about a job that the server returned."""
    facts = list(_facts(job))
    if not console.is_terminal:
        for name, value in facts:
            text = str(value).replace("\n", "\n" + " " * _NAME_WIDTH)
            console.print(f"{name:<{_NAME_WIDTH}}{text}", markup=False, soft_wrap=True)
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, value)
    console.print(table)


def _facts(job: Job) -> Iterator[tuple[str, str | Text]]:
    """Yields the lines of `print_job`; a missing fact has no line."""
    status = job.status
    yield "job", job.id
    yield "queue", job.queue
    yield "state", state_text(status.state)
    if status.wait_reason:
        detail = f": {one_line(status.wait_detail)}" if status.wait_detail else ""
        yield "waits", Text(wait_text(status.wait_reason) + detail)
    if status.attempt:
        yield "attempt", f"{status.attempt} of {job.max_attempts or '?'}"
    if status.progress_percent is not None:
        progress = f"{status.progress_percent} % {status.progress_message}".rstrip()
        yield "progress", Text(lines(progress))
    if status.error:
        yield "error", Text(lines(error_text(status.error)), "red")
    if status.cancel_reason:
        yield "cancel reason", Text(one_line(status.cancel_reason))
    if status.worker_id:
        yield "worker", Text(one_line(status.worker_id))
    times = {
        "created": job.create_time,
        "due": status.next_attempt_time,
        "started": status.start_time,
        "leased until": status.lease_expire_time,
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
        yield "unique key", Text(one_line(job.unique_key))
    for key, value in job.labels.items():
        yield "label", Text(one_line(f"{key}={value}"))
    if job.traceparent:
        yield "trace", job.traceparent
    if job.input_json is not None:
        yield "input", Text(_pretty(job.input_json))
    if status.output_json is not None:
        yield "output", Text(_pretty(status.output_json))
    for attempt in status.recent_attempts:
        yield f"attempt {attempt.attempt}", _attempt_text(attempt)


def _attempt_text(attempt: AttemptRecord) -> Text:
    """Returns when an attempt began, how long it took, who ran it, and below it its error."""
    words = []
    if attempt.start_time is not None:
        words.append(time_text(attempt.start_time))
        if attempt.end_time is not None:
            words.append(f"{(attempt.end_time - attempt.start_time).total_seconds():.1f} s")
    text = Text("  ".join([*words, one_line(attempt.worker_id)]))
    if attempt.error:
        text.append(f"\n{lines(error_text(attempt.error))}", "red")
    return text


def _pretty(text: str) -> str:
    return json_text(json.dumps(json.loads(text), indent=2, ensure_ascii=False))
