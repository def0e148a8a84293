"""Appends finished spans to a file, a JSON line each. One file a process, bounded in size."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id, format_trace_id
from opentelemetry.util.types import AttributeValue

from jobsvc.tracing.span import Attributes, Event, Link, Scalar, Span, encode
from jobsvc.tracing.span_files import SUFFIX

MAX_FILE_BYTES = 32 * 1024 * 1024

_log = logging.getLogger(__name__)


class SpanFile(SpanExporter):
    """Exports to `folder/{service}-{instance}.spans.jsonl`, creating both if need be.

    A batch is one write, so a process that dies leaves at most one torn line. A
    full file is renamed to `….old.spans.jsonl`, replacing the previous one: a process
    keeps its latest spans, in at most twice `max_file_bytes`. When the disk is
    full or gone, spans are lost and one warning is logged.

    Raises:
        OSError: the folder cannot be made, or the file cannot be opened.
    """

    def __init__(
        self, folder: Path, service: str, instance: str, max_file_bytes: int = MAX_FILE_BYTES
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{service}-{instance}")
        self._path = folder / (stem + SUFFIX)
        self._full_path = folder / (stem + ".old" + SUFFIX)
        self._service = service
        self._max_bytes = max_file_bytes
        self._file = self._path.open("ab", buffering=0)
        self._warned = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Appends the spans. Called by one thread at a time."""
        data = b"".join(encode(_flat(span, self._service)) for span in spans)
        try:
            if self._file.tell() + len(data) > self._max_bytes:
                self._rotate()
            self._file.write(data)
        except (OSError, ValueError) as e:  # ValueError: closed, after a failed `_rotate`
            if not self._warned:
                self._warned = True
                _log.warning("spans are not written to %s: %s", self._path, e)
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def _rotate(self) -> None:
        self._file.close()
        self._path.replace(self._full_path)
        self._file = self._path.open("ab", buffering=0)

    def shutdown(self) -> None:
        """Closes the file."""
        self._file.close()


def _flat(span: ReadableSpan, service: str) -> Span:
    context = span.get_span_context()
    assert context is not None, "the SDK ends no span without a context"
    return Span(
        trace_id=format_trace_id(context.trace_id),
        span_id=format_span_id(context.span_id),
        parent_id=format_span_id(span.parent.span_id) if span.parent else "",
        name=span.name,
        kind=span.kind.name,
        service=service,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name,
        status_message=span.status.description or "",
        attributes=_attributes(span.attributes),
        links=[
            Link(format_trace_id(link.context.trace_id), format_span_id(link.context.span_id))
            for link in span.links
        ],
        events=[Event(e.name, e.timestamp, _attributes(e.attributes)) for e in span.events],
    )


def _attributes(attributes: Mapping[str, AttributeValue] | None) -> Attributes:
    return {key: _plain(value) for key, value in (attributes or {}).items()}


def _plain(value: AttributeValue) -> Scalar | list[Scalar]:
    """Returns scalars and lists of them as they are, rarer types (bytes, maps, None) as text."""
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [v if isinstance(v, str | bool | int | float) else str(v) for v in value]
    return str(value)
