"""The table of jobs in terminals as people have them, and why a job waits."""

import re
from io import StringIO

import grpc
import pytest
from google.rpc import code_pb2
from rich.console import Console

from jobsvc.cli.status_display import StatusDisplay, remark_text, sums_text, took_text
from jobsvc.cli.wait_reasons import WaitingJobs, WaitReasons
from jobsvc.client import Client, Job, JobUpdate
from jobsvc.client.convert.job_replies import read_job, read_status, read_update
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, OTHER_ID, job, status, update
from tests.client.support.peer import Failure, Peer
from tests.support.probe import blocking_eventually


def screen(width: int, *updates: JobUpdate) -> list[str]:
    """The lines that a terminal of this width shows at the end."""
    out = StringIO()
    console = Console(
        file=out,
        force_terminal=True,
        color_system=None,
        width=width,
        height=40,
        legacy_windows=False,
    )
    with StatusDisplay(console) as display:
        for each in updates:
            display.show(each)
    return re.sub(r"\x1b\[\?25.|\x1b\[2K|\x1b\[1A|\r", "", out.getvalue()).splitlines()


def failed() -> JobUpdate:
    """An update of a job that has failed on its third attempt."""
    message = update(job_pb2.JOB_STATE_FAILED, 7)
    message.update.queue = "thumbnails"
    message.update.status.attempt = 3
    message.update.status.error.code = code_pb2.UNAVAILABLE
    message.update.status.error.message = "the upstream was away"
    message.update.status.start_time.FromSeconds(1_700_000_000 - 12)
    return read_update(message.update)


def waiting(version: int = 1, reason: int = job_pb2.WAIT_REASON_NO_WORKER) -> Job:
    """A pending job that was read, with the reason."""
    message = job(job_pb2.JOB_STATE_PENDING, version)
    message.status.wait_reason = reason  # type: ignore[assignment]  # its number
    return read_job(message)


@pytest.mark.parametrize("width", [50, 80, 120])
def test_state_tries_and_time_are_whole_in_every_terminal(width: int) -> None:
    running = read_update(update(job_pb2.JOB_STATE_PROCESSING, 2, OTHER_ID).update)
    lines = screen(width, failed(), running)
    assert all(len(line) <= width for line in lines)
    assert any("PROCESSING" in line for line in lines)
    [line] = [line for line in lines if "FAILED  " in line]
    assert "  3    12.0 s" in line


def test_80_columns_show_the_end_of_the_id_the_queue_and_the_remark() -> None:
    [line] = [line for line in screen(80, failed()) if "FAILED  " in line]
    assert line.startswith(f"…{JOB_ID[-12:]}  thumbnails  FAILED ")
    assert line.rstrip().endswith("UNAVAILABLE: t…")


def test_120_columns_show_the_whole_id() -> None:
    assert any(line.startswith(f"{JOB_ID}  thumbnails  FAILED ") for line in screen(120, failed()))


def test_errors_that_the_table_cuts_are_told_at_the_end() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=80, height=40)
    with StatusDisplay(console) as display:
        display.show(read_update(update(job_pb2.JOB_STATE_COMPLETED, 2, OTHER_ID).update))
        display.show(failed())
    out.seek(out.truncate(0))
    display.tell_failures()
    assert " ".join(out.getvalue().split()) == f"{JOB_ID}: UNAVAILABLE: the upstream was away"


@pytest.fixture
def lines() -> StringIO:
    """What a display prints that does not repaint itself."""
    return StringIO()


@pytest.fixture
def display(lines: StringIO) -> StatusDisplay:
    """A display in a pipe, in which a job waits."""
    display = StatusDisplay(Console(file=lines, width=40))
    display.show(read_update(update(job_pb2.JOB_STATE_PENDING, 1).update))
    lines.seek(lines.truncate(0))
    return display


def test_reason_is_shown_when_it_changes(display: StatusDisplay, lines: StringIO) -> None:
    display.explain(waiting())
    display.explain(waiting())
    display.explain(waiting(reason=job_pb2.WAIT_REASON_WORKERS_BUSY))
    assert lines.getvalue().splitlines() == [
        f"{JOB_ID} news PENDING no worker is subscribed to its queue",
        f"{JOB_ID} news PENDING all workers are busy",
    ]


@pytest.mark.parametrize(
    "late",
    [waiting(version=2), read_job(job(job_pb2.JOB_STATE_PENDING)), read_job(job(job_id=OTHER_ID))],
)
def test_reason_of_another_status_is_not_shown(
    display: StatusDisplay, lines: StringIO, late: Job
) -> None:
    display.explain(late)
    assert lines.getvalue() == ""


def test_reason_stands_before_the_error_of_the_attempt_before() -> None:
    message = update(job_pb2.JOB_STATE_PENDING, 3).update
    message.status.error.code = code_pb2.UNAVAILABLE
    message.status.error.message = "away"
    message.status.wait_reason = job_pb2.WAIT_REASON_RETRY_DELAY
    assert remark_text(read_update(message).status) == "waits to be tried again: UNAVAILABLE: away"


def test_jobs_are_asked_about_once_they_have_waited() -> None:
    jobs = WaitingJobs(first_seconds=3.0)
    one, other = (
        read_update(update(job_pb2.JOB_STATE_PENDING, 1, id).update) for id in (JOB_ID, OTHER_ID)
    )
    jobs.note(one, 0.0)
    jobs.note(other, 1.0)
    assert jobs.take_due(2.9) == []
    assert jobs.take_due(3.0) == [JOB_ID]
    assert jobs.take_due(4.0) == [OTHER_ID]
    jobs.note(read_update(update(job_pb2.JOB_STATE_PROCESSING, 2).update), 5.0)
    assert jobs.take_due(100.0) == [OTHER_ID]


def test_one_round_asks_about_few_jobs() -> None:
    jobs = WaitingJobs(first_seconds=0.0)
    for number in range(1000):
        jobs.note(read_update(update(job_pb2.JOB_STATE_PENDING, 1, f"{number}").update), 0.0)
    assert jobs.take_due(1.0) == [f"{number}" for number in range(20)]
    assert jobs.take_due(1.0)[0] == "20"


def test_reasons_are_read_while_jobs_wait_whatever_the_server_says(peer: Peer) -> None:
    message = job(job_pb2.JOB_STATE_PENDING)
    message.status.wait_reason = job_pb2.WAIT_REASON_QUEUE_PAUSED
    peer.answer(
        "GetJob",
        Failure(grpc.StatusCode.INTERNAL),
        job_service_pb2.GetJobResponse(job=message),
    )
    told: list[str] = []
    with Client(peer.target) as client:
        show = lambda job: told.append(job.status.wait_reason)  # noqa: E731
        with WaitReasons(client, show, first_seconds=0.0) as reasons:
            for job_id in (OTHER_ID, JOB_ID):
                reasons.note(read_update(update(job_pb2.JOB_STATE_PENDING, 1, job_id).update))
            blocking_eventually(lambda: told, what="a reason")
    assert told == ["QUEUE_PAUSED"]
    assert [request.job_id for request in peer.requests("GetJob")] == [OTHER_ID, JOB_ID]


def test_sums_leave_out_states_without_jobs() -> None:
    updates = [read_update(update(job_pb2.JOB_STATE_FAILED, 2).update)]
    assert sums_text(updates, shown=1) == "1 FAILED"


def test_run_time_is_never_negative() -> None:
    message = status(job_pb2.JOB_STATE_PROCESSING, 2)
    message.start_time.FromSeconds(1_700_000_000)
    running = read_status(message)
    assert running.start_time is not None
    assert took_text(running, running.start_time.replace(year=2022)) == "0.0 s"
