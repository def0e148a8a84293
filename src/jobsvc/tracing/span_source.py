"""Where spans are read: a folder, a file, or the HTTP API of a backend."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from jobsvc.tracing import span_files
from jobsvc.tracing.span import Span
from jobsvc.tracing.trace_api import TraceApi


class SpanSource(Protocol):
    """Anything that knows spans."""

    def find_trace(self, trace_id: str) -> list[Span]:
        """Returns all spans of a trace, in order of their start.

        Raises:
            SourceUnusable: it cannot be asked, or what it answers is no trace.
        """

    def find_trace_ids(self, job_id: str, created: datetime | None) -> list[str]:
        """Returns the ids of the traces that name a job, earliest first; usually one. `created` is
        about when the job was created, if that is known. Raises as `find_trace`."""


class Files:
    """A folder with files of spans, or one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find_trace(self, trace_id: str) -> list[Span]:
        """As `SpanSource`."""
        return span_files.find_trace(self._path, trace_id)

    def find_trace_ids(self, job_id: str, created: datetime | None) -> list[str]:
        """As `SpanSource`. All files are read, whatever they are of."""
        return span_files.find_trace_ids(self._path, job_id)


def open_source(where: str, headers: Mapping[str, str]) -> SpanSource:
    """Returns the source at a URL or a path. `headers` are sent along to a URL."""
    if where.startswith(("http://", "https://")):
        return TraceApi(where, headers)
    return Files(Path(where))
