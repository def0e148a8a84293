"""A waterfall shows every span once, under its parent, at the right time."""

from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from jobsvc.cli import trace as command
from jobsvc.telemetry import ERROR_TYPE, JOB_ATTEMPT, JOB_STATE, MESSAGE_ID
from jobsvc.tracing.drawing import draw, duration_text
from jobsvc.tracing.span import Link, Span, encode
from jobsvc.tracing.span_files import SUFFIX
from jobsvc.tracing.waterfall import bar_cells, notes, rows, spans_of_job

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
MS = 1_000_000


def span(
    id: str, parent: str = "", start: int = 0, end: int = 1, service: str = "jobsvc", **rest: object
) -> Span:
    values = {"trace_id": TRACE_ID, "span_id": id, "parent_id": parent, "name": id}
    times = {"start_ns": start * MS, "end_ns": end * MS, "service": service}
    return Span(**(values | times | rest))  # type: ignore[arg-type]


def job_spans(job: str, start: int = 0) -> list[Span]:
    about = {MESSAGE_ID: job}
    return [
        span(f"send-{job}", "create", start, start + 1, attributes=about),
        span(
            f"process-{job}",
            f"send-{job}",
            start + 2,
            start + 90,
            "worker",
            attributes={**about, JOB_ATTEMPT: 1},
            links=[Link(TRACE_ID, f"send-{job}")],
        ),
        span(f"fetch-{job}", f"process-{job}", start + 5, start + 50, "worker"),
        span(
            f"settle-{job}",
            f"send-{job}",
            start + 90,
            start + 91,
            attributes={**about, JOB_STATE: "COMPLETED"},
        ),
    ]


BATCH = [span("create", "", 0, 4, "caller"), *job_spans("one"), *job_spans("two", 3)]


def test_parents_come_first_and_siblings_by_start() -> None:
    found = rows(reversed(BATCH))
    assert [row.span.name for row in found[:5]] == [
        "create",
        "send-one",
        "process-one",
        "fetch-one",
        "settle-one",
    ]
    assert found[3].lasts == (False, False, True)


def test_bars_stand_where_the_spans_were() -> None:
    whole, half = rows([span("a", "", 0, 100), span("b", "a", 50, 100)])
    assert (whole.begin, whole.end, half.begin, half.end) == (0, 1, 0.5, 1)
    assert bar_cells(whole, 40) == (0, 40)
    assert bar_cells(half, 40) == (20, 40)


def test_span_with_an_unknown_parent_is_a_root() -> None:
    assert [row.lasts for row in rows([span("a", "elsewhere")])] == [()]


def test_no_spans_make_no_rows() -> None:
    assert rows([]) == []


@st.composite
def any_spans(draw: st.DrawFn) -> list[Span]:
    ids = [format(n, "x") for n in range(draw(st.integers(1, 12)))]
    times = st.integers(0, 1000)
    return [
        span(id, draw(st.sampled_from([*ids, "", "gone"])), draw(times), draw(times)) for id in ids
    ]


@given(any_spans(), st.integers(1, 200))
def test_every_span_appears_once_whatever_its_parents_and_times(
    spans: list[Span], width: int
) -> None:
    found = rows(spans)
    assert sorted(row.span.span_id for row in found) == sorted(s.span_id for s in spans)
    for row in found:
        first, past = bar_cells(row, width)
        assert 0 <= first < past <= width
        assert row.duration_ns >= 0


def test_other_jobs_of_a_batch_are_left_out_with_what_they_called() -> None:
    names = [s.name for s in spans_of_job(BATCH, "two")]
    assert names == ["create", "send-two", "process-two", "fetch-two", "settle-two"]


def test_notes_name_attempt_state_error_and_links() -> None:
    failed = span(
        "p",
        "s",
        attributes={JOB_ATTEMPT: 2, JOB_STATE: "FAILED", ERROR_TYPE: "UPSTREAM_ERROR"},
        status="ERROR",
        status_message="503 from upstream\nsecond line",
        links=[Link(TRACE_ID, "s"), Link(TRACE_ID, "q"), Link("0" * 32, "x")],
    )
    assert notes(failed, {"q": "process other"}) == [
        "attempt 2",
        "FAILED",
        "ERROR UPSTREAM_ERROR 503 from upstream",
        "linked to parent",
        "linked to process other",
        f"linked to {'0' * 32}/x",
    ]


def test_durations_are_readable() -> None:
    values = [20_000, 999_000, 12_340_000, 150_000_000, 1_520_000_000, 75_000_000_000]
    assert [duration_text(v) for v in values] == [
        "0.02 ms",
        "1.00 ms",
        "12.3 ms",
        "150 ms",
        "1.52 s",
        "75.0 s",
    ]


REFUSED = [
    span("create order", "", 0, 100, "web"),
    span("jobsvc.v1.JobService/CreateJob", "create order", 1, 5, "jobsvc-server"),
    span("send orders", "jobsvc.v1.JobService/CreateJob", 2, 3, "jobsvc-server"),
    span(
        "process orders",
        "send orders",
        10,
        90,
        "orders-worker",
        attributes={JOB_ATTEMPT: 1},
        status="ERROR",
        status_message="503 from upstream",
        links=[Link(TRACE_ID, "send orders")],
    ),
    span("settle orders", "send orders", 90, 91, "jobsvc-server", attributes={JOB_STATE: "FAILED"}),
]


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("spans", [BATCH, REFUSED])
def test_drawing_fits_the_width_and_cuts_no_note(width: int, spans: list[Span]) -> None:
    out = StringIO()
    draw(spans, Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    words = out.getvalue().split()
    for each in spans:
        assert any(each.name[:20] in line for line in lines)
        assert each.service in out.getvalue()
        for note in notes(each, {}):
            assert set(note.split()) <= set(words)


def cli(*arguments: str) -> tuple[int, str, str]:
    from typer import Typer

    app = Typer()
    app.command()(command.trace)
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def recorded(folder: Path) -> Path:
    (folder / ("p" + SUFFIX)).write_bytes(b"".join(map(encode, BATCH)))
    return folder


def test_command_finds_a_trace_by_job_and_leaves_the_batch_out(tmp_path: Path) -> None:
    code, out, _ = cli("one", "--from", str(recorded(tmp_path)))
    assert code == 0
    assert "process-one" in out
    assert "process-two" not in out


def test_command_shows_the_whole_batch_on_request(tmp_path: Path) -> None:
    folder = str(recorded(tmp_path))
    for arguments in (("one", "--all"), (TRACE_ID,)):
        code, out, _ = cli(*arguments, "--from", folder)
        assert code == 0
        assert "process-two" in out


def test_command_says_in_one_line_that_nothing_was_found(tmp_path: Path) -> None:
    code, out, error = cli("none", "--from", str(tmp_path))
    assert (code, out) == (1, "")
    assert error == f"no spans of job none in {tmp_path}\n"
