"""Spans reach the files they should."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.span import Span, decode, encode
from jobsvc.tracing.span_file import SpanFile
from jobsvc.tracing.span_files import SUFFIX, find_trace, find_trace_ids, read_spans, remove_older
from tests.support.probe import blocking_eventually
from tests.tracing.support.process import clean_environment, run

TRACED = """
from pathlib import Path
from opentelemetry import trace
from jobsvc.tracing import start_tracing
with start_tracing("tester", {folder}):
    tracer = trace.get_tracer("t")
    with tracer.start_as_current_span("outer", attributes={{"messaging.message.id": "job-1"}}) as o:
        with tracer.start_as_current_span("inner", links=[trace.Link(o.get_span_context())]) as i:
            i.set_attribute("sizes", [1, 2])
            i.set_status(trace.StatusCode.ERROR, "broken")
            i.add_event("noted", {{"a": True}})
"""


def test_spans_are_written_with_everything_a_waterfall_needs(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when missing"
    done = run(TRACED.format(folder=f"Path({str(folder)!r})"))
    assert done.returncode == 0, done.stderr
    [trace_id] = find_trace_ids(folder, "job-1")
    outer, inner = find_trace(folder, trace_id)
    assert (outer.name, outer.parent_id, outer.service, outer.status) == (
        "outer",
        "",
        "tester",
        "UNSET",
    )
    assert outer.attributes == {MESSAGE_ID: "job-1"}
    assert (inner.name, inner.parent_id, inner.kind) == ("inner", outer.span_id, "INTERNAL")
    assert (inner.status, inner.status_message) == ("ERROR", "broken")
    assert inner.attributes == {"sizes": [1, 2]}
    assert [(link.trace_id, link.span_id) for link in inner.links] == [(trace_id, outer.span_id)]
    assert [(e.name, e.attributes) for e in inner.events] == [("noted", {"a": True})]
    assert outer.start_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns


def test_environment_names_folder_and_service(tmp_path: Path) -> None:
    done = run(
        TRACED.format(folder=None), JOBSVC_TRACE_DIR=str(tmp_path), OTEL_SERVICE_NAME="named"
    )
    assert done.returncode == 0, done.stderr
    assert {s.service for s in read_spans(tmp_path, "job-1")} == {"named"}


def test_sampler_of_the_environment_is_respected(tmp_path: Path) -> None:
    done = run(
        TRACED.format(folder=None),
        JOBSVC_TRACE_DIR=str(tmp_path),
        OTEL_TRACES_SAMPLER="always_off",
    )
    assert done.returncode == 0, done.stderr
    assert list(read_spans(tmp_path, "")) == []


def test_folder_that_cannot_be_made_costs_spans_and_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run(TRACED.format(folder=None), JOBSVC_TRACE_DIR=str(tmp_path / "file"))
    warning = f"no spans are written to {tmp_path / 'file'}: File exists\n"
    assert (done.returncode, done.stderr) == (0, warning)


@pytest.mark.parametrize(
    "variables", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}]
)
def test_untraced_process_does_not_load_the_sdk(variables: dict[str, str]) -> None:
    done = run(
        TRACED.format(folder=None) + "\nimport sys; print('opentelemetry.sdk' in sys.modules)",
        **variables,
    )
    assert done.stdout.strip() == "False", done.stderr


def test_killed_process_leaves_the_spans_it_had_ended(tmp_path: Path) -> None:
    code = TRACED.format(folder=None) + "    import time; time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**clean_environment(), "JOBSVC_TRACE_DIR": str(tmp_path)},
    )
    try:
        blocking_eventually(
            lambda: list(read_spans(tmp_path, "job-1")), what="a span of a process that runs"
        )
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert {s.name for s in read_spans(tmp_path, "outer", "inner")} == {"outer", "inner"}


def test_blocks_follow_one_another_in_one_process(tmp_path: Path) -> None:
    done = run(
        """
import sys
from pathlib import Path
from opentelemetry import trace
from jobsvc.tracing import start_tracing
for name in ("first", "second"):
    with start_tracing(name, Path(sys.argv[1]) / name):
        trace.get_tracer("t").start_span(name).end()
""",
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    for name in ("first", "second"):
        assert [(s.name, s.service) for s in read_spans(tmp_path / name, name)] == [(name, name)]


def span(**changes: object) -> Span:
    values = {"trace_id": "a" * 32, "span_id": "b" * 16, "name": "n", "start_ns": 1, "end_ns": 2}
    return Span(**(values | changes))  # type: ignore[arg-type]


def test_torn_last_line_is_left_out(tmp_path: Path) -> None:
    whole = encode(span())
    (tmp_path / ("x" + SUFFIX)).write_bytes(whole + whole[:-20])
    assert list(read_spans(tmp_path, "a" * 32)) == [span()]


@pytest.mark.parametrize("line", [b"", b"null", b"{}", b'{"trace_id": 1}', b"\xff\xfe", b"[1"])
def test_damaged_line_is_no_span(line: bytes) -> None:
    assert decode(line) is None


def test_missing_folder_holds_no_spans(tmp_path: Path) -> None:
    assert find_trace_ids(tmp_path / "none", "job-1") == []


def test_old_span_files_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("old" + SUFFIX, "new" + SUFFIX, "old.txt"):
        (tmp_path / name).write_bytes(b"")
        if "old" in name:
            os.utime(tmp_path / name, (1, 1))
    remove_older(tmp_path, 3600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new" + SUFFIX, "old.txt"]


def export(file: SpanFile, *names: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(file))
    for name in names:
        provider.get_tracer("t").start_span(name).end()


def test_full_file_makes_room_and_keeps_the_latest_spans(tmp_path: Path) -> None:
    file = SpanFile(tmp_path, "se/rv ice", "1", max_file_bytes=2000)
    export(file, *(f"span-{i}" for i in range(100)))
    file.shutdown()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["se_rv_ice-1.old" + SUFFIX, "se_rv_ice-1" + SUFFIX]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert "span-99" in {s.name for s in read_spans(tmp_path, "span-")}


def test_unwritable_disk_costs_spans_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = SpanFile(tmp_path, "s", "1")
    file.shutdown()  # a closed file stands for every way in which a write can fail
    export(file, "one", "two")
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert file.export([]) is SpanExportResult.FAILURE


def test_lines_are_plain_json() -> None:
    assert json.loads(encode(span(attributes={"x": 1.5})))["attributes"] == {"x": 1.5}
