"""Bulk operations as text: JSON for programs, lines of at most 80 columns for people."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jobsvc.cli.job_text import time_text
from jobsvc.client import BulkOperation, BulkPreview
from jobsvc.plain_text import json_text, one_line

_NAME_WIDTH = 14
#: The least time between two lines of one operation that goes on.
_LINE_SECONDS = 1.0


def bulk_json(value: BulkOperation | BulkPreview, indent: int | None = None) -> str:
    """Returns an operation or a preview as a JSON object: the fields of the class."""
    return json_text(json.dumps(value.as_dict(), indent=indent, ensure_ascii=False))


def count_text(preview: BulkPreview) -> str:
    """Returns how many jobs would be touched."""
    about = "about " if preview.is_estimate else ""
    return f"{about}{preview.count:,} {'job' if preview.count == 1 else 'jobs'}"


def sample_lines(preview: BulkPreview) -> Iterator[str]:
    """Yields a line for each job of a preview."""
    for job in preview.sample:
        yield f"{job.id}  {one_line(job.queue):<20.20}  {job.state.name}"


def table(operations: Iterable[BulkOperation]) -> Iterator[str]:
    """Yields the lines of a table, which begins with the first operation."""
    for number, operation in enumerate(operations):
        if number == 0:
            yield _row("OPERATION", "KIND", "STATE", "DONE", "SKIPPED")
        yield _row(
            operation.id,
            operation.kind,
            operation.state.name,
            f"{operation.done_count:,}",
            f"{operation.skipped_count:,}",
        )


def _row(operation_id: str, kind: str, state: str, done: str, skipped: str) -> str:
    return f"{operation_id:<36}  {kind:<6}  {state:<9} {done:>12} {skipped:>11}"


def progress_line(operation: BulkOperation) -> str:
    """Returns how far an operation is."""
    line = f"{operation.state.name}: {operation.done_count:,} done"
    if operation.skipped_count:
        line += f", {operation.skipped_count:,} skipped"
    if operation.last_error is not None and not operation.ended:
        line += f" ({operation.last_error.reason})"
    return line


def facts(operation: BulkOperation) -> Iterator[str]:
    """Yields all that is known about an operation."""
    for name, value in _facts(operation):
        yield f"{name:<{_NAME_WIDTH}}{one_line(value)}"


def _facts(operation: BulkOperation) -> Iterator[tuple[str, str]]:
    yield "operation", operation.id
    yield "does", f"{operation.kind} {_words(operation.options)}".rstrip()
    yield "jobs", _words(operation.filter) or "all"
    yield "state", operation.state.name
    yield "done", f"{operation.done_count:,}"
    yield "skipped", f"{operation.skipped_count:,}"
    for reason, count in sorted(operation.skipped_by_reason.items()):
        yield "", f"{reason}: {count:,}"
    if operation.last_error is not None:
        error = operation.last_error
        yield "last error", f"{error.reason}: {error.message}"
        yield "of job", error.job_id
    if operation.rate:
        yield "rate", f"{operation.rate:g} jobs a second at most"
    if operation.most:
        yield "most", f"{operation.most:,}"
    times = (
        ("started", operation.create_time),
        ("changed", operation.update_time),
        ("has come to", None if operation.ended else operation.position_time),
        ("ended", operation.end_time),
        ("kept until", operation.purge_time),
    )
    for name, moment in times:
        if moment is not None:
            yield name, time_text(moment)


def _words(values: Any) -> str:  # Any: values of several types, by name
    return " ".join(f"{name}={_value(value)}" for name, value in values.items() if value != "")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{key}:{item}" for key, item in value.items())
    return "none" if value is None else str(value)


class ProgressLines:
    """Lines about one operation: the first, the last, and in between one a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_time: float | None = None

    def next(self, operation: BulkOperation) -> str:
        """Returns the line for a step; empty for none."""
        now = self._clock()
        is_due = self._told_time is None or now - self._told_time >= _LINE_SECONDS
        if not is_due and not operation.ended:
            return ""
        self._told_time = now
        return progress_line(operation)
