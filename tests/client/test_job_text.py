"""A job as text: it fits a terminal of 80 columns, and a pipe gets it unwrapped."""

import time
from collections.abc import Iterator
from io import StringIO

import pytest
from google.rpc import code_pb2
from rich.console import Console

from jobsvc.cli.job_text import print_job
from jobsvc.client import Job
from jobsvc.client.convert.job_replies import read_job
from jobsvc.v1 import job_pb2
from tests.client.support.messages import JOB_ID, job

MESSAGE = "the upstream was away for longer than anybody could wait, so this has failed"


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone that is two hours ahead, and has a name."""
    monkeypatch.setenv("TZ", "EET-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def long() -> Job:
    """A job on its second attempt, with much to say."""
    message = job(job_pb2.JOB_STATE_PROCESSING, 4)
    message.spec.input.json_text = f'{{"text":"{MESSAGE}"}}'
    message.create_time.FromMilliseconds(1_700_000_000_123)
    message.traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    message.status.attempt = 2
    message.status.lease_expire_time.FromSeconds(1_700_000_060)
    attempt = message.status.recent_attempts.add(attempt=1, worker_id="host-17/6f1e2d3c")
    attempt.start_time.FromSeconds(1_700_000_000)
    attempt.end_time.FromMilliseconds(1_700_000_001_500)
    attempt.error.code = code_pb2.UNAVAILABLE
    attempt.error.message = MESSAGE
    return read_job(message)


def printed(job: Job, width: int, terminal: bool) -> list[str]:
    out = StringIO()
    print_job(job, Console(file=out, width=width, force_terminal=terminal, color_system=None))
    return out.getvalue().splitlines()


def test_get_fits_80_columns(long: Job) -> None:
    lines = printed(long, 80, terminal=True)
    assert max(map(len, lines)) <= 80
    shown = [line.rstrip() for line in lines]
    assert f"job           {JOB_ID}" in shown
    assert "created       2023-11-15 00:13:20 EET" in shown
    assert "leased until  2023-11-15 00:14:20 EET" in shown
    assert "attempt 1     2023-11-15 00:13:20 EET  1.5 s  host-17/6f1e2d3c" in shown
    # Nothing is lost in the lines below it.
    assert MESSAGE in " ".join(" ".join(shown).split())


def test_pipe_gets_each_fact_in_a_line_without_blanks_at_its_end(long: Job) -> None:
    lines = printed(long, 40, terminal=False)
    assert all(line == line.rstrip() for line in lines)
    assert f"              UNAVAILABLE: {MESSAGE}" in lines
    assert f'                "text": "{MESSAGE}"' in lines
