"""The log as JSON, one object a line, with the ids of the trace that a line belongs to."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace

#: The job whose attempt is running here, as a worker sets it.
current_job_id: ContextVar[str] = ContextVar("job_id", default="")

#: What every record has; the rest is what a caller added by `extra`.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as an object: time (UTC), level, logger, message; `trace_id` and `span_id` within a
    span, `job_id` within an attempt; `exception` and `stack` where there is one; and what `extra`
    added, under its names."""

    def __init__(self, process: int | None = None) -> None:
        """`process` is the number of this process, if it is one of several with one log."""
        super().__init__()
        self._fields = {} if process is None else {"process": process}

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, in ASCII: what could break or forge a line is escaped."""
        # Any: values of `extra`.
        line: dict[str, Any] = {k: v for k, v in vars(record).items() if k not in _STANDARD}
        line |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= self._fields
        # Handlers run where the line was logged.
        if job_id := current_job_id.get():
            line.setdefault("job_id", job_id)
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
            line["span_id"] = trace.format_span_id(span.span_id)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str, skipkeys=True)
