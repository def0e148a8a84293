"""`jobsvc trace` draws the same from Jaeger, from Tempo, from a collector's file and a folder."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from typer import Typer
from typer.testing import CliRunner

from jobsvc.cli import trace as command
from jobsvc.domain.job_id import new_job_ids
from jobsvc.exit_code import ExitCode
from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.span import Link, Span, encode
from jobsvc.tracing.span_files import SUFFIX
from tests.tracing.support.backends import Answer, backend, jaeger, tempo
from tests.tracing.support.otlp import otlp_json

TRACE_ID = "00f7651916cd43dd8448eb211c80319c"
#: Long ago: nothing may look at the last days only.
AGO = timedelta(days=60)
(JOB, OTHER) = new_job_ids(2, -AGO)
_START_NS = int((datetime.now(UTC) - AGO).timestamp()) * 1_000_000_000


def span(name: str, number: int, parent: int = 0, job: str = "", **rest: object) -> Span:
    """A span of the trace, whose ids are numbers."""
    values = {
        "trace_id": TRACE_ID,
        "span_id": f"{number:016x}",
        "parent_id": f"{parent:016x}" if parent else "",
        "name": name,
        "service": "jobsvc",
        "start_ns": _START_NS + number * 1_000_000,
        "end_ns": _START_NS + number * 2_000_000,
        "attributes": {MESSAGE_ID: job} if job else {},
    }
    return msgspec.convert({**values, **rest}, Span)


SPANS = [
    span("create orders", 1, service="caller"),
    span("send orders", 2, 1, JOB, kind="PRODUCER"),
    span("send mails", 3, 1, OTHER, kind="PRODUCER"),
    span(
        "process orders",
        4,
        2,
        JOB,
        service="jobsvc-worker",
        kind="CONSUMER",
        status="ERROR",
        status_message="503 from upstream",
        links=[msgspec.to_builtins(Link(TRACE_ID, f"{2:016x}"))],
    ),
    span("another trace", 5, job="", trace_id="f" * 32),
]


@dataclass
class Done:
    """How the command ended."""

    code: int
    out: str
    error: str


def trace(*arguments: str, **environment: str) -> Done:
    """Runs `jobsvc trace`."""
    app = Typer()
    app.command()(command.trace)
    done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "120", **environment})
    return Done(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def drawn(tmp_path: Path) -> str:
    """What is drawn from a folder of span files."""
    folder = tmp_path / "expected"
    folder.mkdir()
    (folder / f"p{SUFFIX}").write_bytes(b"".join(map(encode, SPANS)))
    done = trace(JOB, "--from", str(folder))
    assert done.code == 0
    assert "503 from upstream" in done.out
    assert "mails" not in done.out
    return done.out


@pytest.fixture(
    params=[jaeger(SPANS), jaeger(SPANS, ["billing", "web"]), tempo(SPANS), tempo(SPANS, False)],
    ids=["jaeger", "jaeger of others, too", "tempo", "old tempo"],
)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each of the backends."""
    with backend(request.param) as (found, _):
        yield found


def test_backend_shows_the_same_as_a_folder(url: str, drawn: str) -> None:
    assert trace(JOB, "--from", url).out == drawn
    assert trace(JOB, JOBSVC_TRACE_FROM=url + "/").out == drawn
    whole = trace(TRACE_ID, "--from", url)
    assert (whole.code, "send mails" in whole.out) == (0, True)
    assert "another trace" not in whole.out


def test_backend_that_knows_nothing_of_a_job_is_told_in_one_line(url: str) -> None:
    (unknown,) = new_job_ids(1)
    for id, kind in ((unknown, "job"), ("a job of others", "job"), ("e" * 32, "trace")):
        done = trace(id, "--from", url)
        assert (done.code, done.out) == (1, "")
        assert done.error == f"no spans of {kind} {id} in {url}\n"


def test_collectors_file_shows_the_same_as_a_folder(tmp_path: Path, drawn: str) -> None:
    # A line for each batch, metrics among them, and a torn one.
    lines = [f'{{"resourceSpans":{otlp_json(batch)}}}' for batch in (SPANS[:2], SPANS[2:])]
    lines += [json.dumps({"resourceMetrics": [{"of": JOB}]}), f'{{"resourceSpans":[{{"{JOB}']
    file = tmp_path / "spans.json"
    file.write_text("\n".join(lines))
    assert trace(JOB, "--from", str(file)).out == drawn
    assert trace(JOB, "--from", str(tmp_path)).out == drawn


@pytest.mark.parametrize("in_a_file", [False, True])
def test_headers_are_sent_along(tmp_path: Path, in_a_file: bool) -> None:
    text = "authorization=Bearer%20a=b, x-scope-orgid=t"
    (tmp_path / "headers").write_text(f"{text}\n")
    variable = (
        {"JOBSVC_TRACE_HEADERS_FILE": str(tmp_path / "headers")}
        if in_a_file
        else {"JOBSVC_TRACE_HEADERS": text}
    )
    with backend(jaeger(SPANS)) as (url, headers):
        trace(JOB, "--from", url, **variable)
    assert len(headers) == 3
    assert {(h["authorization"], h["x-scope-orgid"]) for h in headers} == {("Bearer a=b", "t")}


def test_file_of_headers_that_is_missing_is_named(tmp_path: Path) -> None:
    file = str(tmp_path / "missing")
    shown = trace(JOB, "--from", "http://127.0.0.1:1", JOBSVC_TRACE_HEADERS_FILE=file)
    assert shown.code == 78
    assert "JOBSVC_TRACE_HEADERS_FILE" in shown.error


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda *_: (404, "nothing"), "has neither the API of Jaeger nor that of Tempo"),
        (lambda *_: (200, "<html>"), "answers otherwise than expected"),
        (lambda *_: (401, "who are you"), "401 Unauthorized: who are you"),
        (lambda *_: (302, "http://127.0.0.1:1/login"), "302 Found"),
        (
            lambda path, query: (
                (200, '{"result":{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}}')
                if "/v3/" in path
                else jaeger(SPANS)(path, query)
            ),
            "no spans as OTLP has them in JSON",
        ),
    ],
)
def test_backend_that_answers_otherwise_is_told_in_one_line(answer: Answer, text: str) -> None:
    with backend(answer) as (url, _):
        done = trace(JOB, "--from", url)
    assert (done.code, done.out) == (ExitCode.TEMPORARY, "")
    assert text in done.error
    assert done.error.count("\n") == 1


def test_backend_that_is_not_there_is_told_in_one_line() -> None:
    done = trace(JOB, "--from", "http://127.0.0.1:1")
    assert done.code == ExitCode.TEMPORARY
    assert done.error == "jobsvc: http://127.0.0.1:1: [Errno 111] Connection refused\n"
