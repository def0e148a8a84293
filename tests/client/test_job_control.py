"""Cancel, retry, update and delete: calls of both clients, and the commands, to a peer."""

import json
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from jobsvc.client import EtagMismatch, JobStateConflict
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from tests.client.support.command import Run
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Failure, Peer

TIME = datetime(2030, 1, 2, tzinfo=UTC)
CANCELLED = pb.CancelJobResponse(job=job(job_pb2.JOB_STATE_CANCELLED, 2))
RUNNING = pb.CancelJobResponse(job=job(job_pb2.JOB_STATE_PROCESSING, 2))
RETRIED = pb.RetryJobResponse(job=job(version=3))
UPDATED = pb.UpdateJobResponse(job=job(version=3))
CONFLICT = Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="JOB_STATE_CONFLICT")


async def test_retry_grants_attempts(client: Any, peer: Peer) -> None:
    peer.answer("RetryJob", RETRIED)
    assert (await client.retry(JOB_ID, 5, etag="e")).status.version == 3
    assert peer.requests("RetryJob") == [
        pb.RetryJobRequest(job_id=JOB_ID, extra_attempts=5, etag="e")
    ]
    with pytest.raises(ValueError, match="extra_attempts must be 1 to 100, not 0"):
        await client.retry(JOB_ID, 0)


async def test_update_names_what_is_given(client: Any, peer: Peer) -> None:
    peer.answer("UpdateJob", UPDATED)
    await client.update(
        JOB_ID, etag="e", priority=4, expire_time=TIME, schedule_time=None, input={"a": 1}
    )
    [request] = peer.requests("UpdateJob")
    assert sorted(request.update_mask.paths) == [
        "expire_time",
        "input",
        "priority",
        "schedule_time",
    ]
    spec = request.spec
    assert (spec.priority, spec.input.json_text) == (4, '{"a":1}')
    assert spec.expire_time.ToDatetime(tzinfo=UTC) == TIME
    assert not spec.HasField("schedule_time")
    assert request.etag == "e"
    with pytest.raises(ValueError, match="time zone"):
        await client.update(JOB_ID, expire_time=TIME.replace(tzinfo=None))


async def test_delete_and_cancel_carry_the_etag(client: Any, peer: Peer) -> None:
    peer.answer("DeleteJob", pb.DeleteJobResponse())
    peer.answer("CancelJob", CANCELLED)
    assert await client.delete(JOB_ID, etag="e") is None
    await client.cancel(JOB_ID, etag="f")
    assert peer.requests("DeleteJob") == [pb.DeleteJobRequest(job_id=JOB_ID, etag="e")]
    assert peer.requests("CancelJob") == [pb.CancelJobRequest(job_id=JOB_ID, etag="f")]


async def test_refusals_have_exceptions_of_their_own(client: Any, peer: Peer) -> None:
    peer.answer("DeleteJob", CONFLICT, Failure(grpc.StatusCode.ABORTED, reason="ETAG_MISMATCH"))
    with pytest.raises(JobStateConflict):
        await client.delete(JOB_ID)
    with pytest.raises(EtagMismatch):
        await client.delete(JOB_ID)


@pytest.mark.parametrize(
    ("answer", "line"),
    [(CANCELLED, "CANCELLED\n"), (RUNNING, "PROCESSING, its worker is told to stop\n")],
)
def test_cancel_says_what_has_become_of_the_job(
    peer: Peer, run: Run, answer: pb.CancelJobResponse, line: str
) -> None:
    peer.answer("CancelJob", answer)
    result = run("cancel", JOB_ID, "--reason", "why", "--etag", "e")
    assert (result.exit_code, result.stdout) == (0, line)
    assert peer.requests("CancelJob") == [
        pb.CancelJobRequest(job_id=JOB_ID, reason="why", etag="e")
    ]


def test_retry_prints_json(peer: Peer, run: Run) -> None:
    peer.answer("RetryJob", RETRIED)
    result = run("retry", JOB_ID, "--attempts", "7", "--json")
    assert (result.exit_code, json.loads(result.stdout)["status"]["state"]) == (0, "PENDING")
    assert peer.requests("RetryJob")[0].extra_attempts == 7


def test_update_changes_what_the_options_say(peer: Peer, run: Run) -> None:
    peer.answer("UpdateJob", UPDATED)
    words = ("--schedule-time", "now", "--expire-time", "2030-01-02T00:00:00Z", "--priority", "0")
    result = run("update", JOB_ID, *words, "--label", "a=b", "--input", '{"a": 1}')
    assert (result.exit_code, result.stdout) == (0, "PENDING\n")
    [request] = peer.requests("UpdateJob")
    assert len(request.update_mask.paths) == 5
    assert request.spec.expire_time.ToDatetime(tzinfo=UTC) == TIME
    assert not request.spec.HasField("schedule_time")
    assert dict(request.spec.labels) == {"a": "b"}


@pytest.mark.parametrize(
    "words", [(), ("--expire-time", "soon"), ("--label", "a"), ("--input", "@missing")]
)
def test_update_that_says_nothing_of_use_is_a_usage_error(
    peer: Peer, run: Run, words: tuple[str, ...]
) -> None:
    assert run("update", JOB_ID, *words).exit_code == 2
    assert peer.calls == []


def test_delete_asks_first(peer: Peer, run: Run) -> None:
    peer.answer("DeleteJob", pb.DeleteJobResponse())
    assert run("delete", JOB_ID).exit_code == 1, "nobody says yes"
    assert peer.calls == []
    result = run("delete", JOB_ID, "--yes")
    assert (result.exit_code, result.stdout) == (0, "deleted\n")
    result = run("delete", JOB_ID, "--yes", "--json")
    assert json.loads(result.stdout) == {"id": JOB_ID, "deleted": True}


def test_refusal_is_a_line_and_exit_code_1(peer: Peer, run: Run) -> None:
    peer.answer("RetryJob", CONFLICT)
    result = run("retry", JOB_ID)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "JOB_STATE_CONFLICT" in result.stderr
