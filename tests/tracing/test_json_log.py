"""The log as JSON: one object a line, whatever was logged."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import trace

from jobsvc.exit_code import ExitCode
from jobsvc.telemetry import parent
from jobsvc.tracing.json_log import JsonFormatter
from tests.tracing.support.process import run

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def formatted(**record: Any) -> dict[str, Any]:
    text = JsonFormatter().format(
        logging.makeLogRecord({"levelname": "INFO", "name": "n", **record})
    )
    assert "\n" not in text
    assert text.isascii()
    line: dict[str, Any] = json.loads(text)
    return line


def test_line_has_time_level_logger_and_message() -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert formatted(msg="job %s", args=("x",), created=noon.timestamp() + 0.25) == {
        "time": "2030-01-01T12:00:00.250+00:00",
        "level": "INFO",
        "logger": "n",
        "message": "job x",
    }


def test_line_within_a_span_names_it() -> None:
    caller = trace.get_current_span(parent(f"00-{TRACE_ID}-{SPAN_ID}-01"))
    with trace.use_span(caller):
        line = formatted(msg="")
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, SPAN_ID)


def test_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("bad\nworse")
    except ValueError:
        line = formatted(msg="failed", exc_info=sys.exc_info())
    assert line["exception"].startswith("Traceback (most recent call last)")
    assert line["exception"].endswith("ValueError: bad\nworse")


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\x9b \u2028", "\U0001f422", "\ud800", '"'])
def test_text_of_others_forges_no_line(text: str) -> None:
    assert formatted(msg="%s", args=(text,))["message"] == text


def test_extra_is_shown_and_replaces_nothing() -> None:
    line = formatted(msg="m", job_id="j-1", level="forged", at=datetime(2030, 1, 1, tzinfo=UTC))
    assert (line["job_id"], line["level"]) == ("j-1", "INFO")
    assert line["at"] == "2030-01-01 00:00:00+00:00"


def test_commands_and_workers_log_as_they_are_told() -> None:
    serve = "import sys, logging; from jobsvc.cli.startup import log_to_stderr; log_to_stderr(); "
    said = (
        "logging.getLogger('jobsvc.x').debug('mine'); logging.getLogger('grpc').debug('not mine')"
    )
    done = run(serve + said, JOBSVC_LOG_FORMAT="JSON", JOBSVC_LOG_LEVEL="debug")
    [line] = map(json.loads, done.stderr.splitlines())
    assert (line["level"], line["logger"], line["message"]) == ("DEBUG", "jobsvc.x", "mine")
    work = "from jobsvc.worker.command import main; raise SystemExit(main(['no_such_module']))"
    for program, name in ((serve, "jobsvc"), (work, "jobsvc worker")):
        done = run(program, JOBSVC_LOG_FORMAT="xml")
        complaint = f"{name}: JOBSVC_LOG_FORMAT must be text or json, not 'xml'"
        assert (done.returncode, done.stderr.splitlines()[0]) == (ExitCode.CONFIGURATION, complaint)
