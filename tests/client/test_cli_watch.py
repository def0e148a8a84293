"""`jobsvc watch` with a filter, against a peer on a real port."""

import json

import grpc
import pytest

from jobsvc.v1 import job_pb2
from jobsvc.v1.job_service_pb2 import JobFilter, WatchJobsResponse
from tests.client.support import messages
from tests.client.support.command import Run
from tests.client.support.messages import JOB_ID, OTHER_ID
from tests.client.support.peer import Failure, Peer

#: Ends a watch, which by itself never ends.
REFUSAL = Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST")


def script(peer: Peer) -> None:
    updates = [
        messages.update(job_pb2.JOB_STATE_PENDING, 1),
        messages.update(job_pb2.JOB_STATE_COMPLETED, 3, OTHER_ID),
    ]
    peer.answer("WatchJobs", [*(WatchJobsResponse(update=u.update) for u in updates), REFUSAL])


def test_each_update_is_a_line(peer: Peer, run: Run) -> None:
    script(peer)
    result = run("watch", "--queue", "news")
    assert result.stdout.splitlines() == [f"{JOB_ID} news PENDING", f"{OTHER_ID} news COMPLETED"]
    assert result.exit_code == 1


def test_json_has_a_line_for_each_update(peer: Peer, run: Run) -> None:
    script(peer)
    first, second = run("watch", "--queue", "news", "--json").stdout.splitlines()
    assert json.loads(first)["job_id"] == JOB_ID
    assert json.loads(second)["status"]["state"] == "COMPLETED"


def test_filter_is_spelled_as_in_the_contract(peer: Peer, run: Run) -> None:
    script(peer)
    run(
        *("watch", "--queues", "a,b", "--queue", "c", "--states", "failed"),
        *("--labels", "k=v", "--own-session", "--own-user", "--changes-only"),
    )
    [request] = peer.requests("WatchJobs")
    assert request.filter == JobFilter(
        queues=["a", "b", "c"],
        states=[job_pb2.JOB_STATE_FAILED],
        labels={"k": "v"},
        own_session=True,
        own_user=True,
    )
    assert request.changes_only
    options = {name.replace("_", "-") for name in JobFilter.DESCRIPTOR.fields_by_name}
    help_text = run("watch", "--help").stdout
    assert all(f"--{option}" in help_text for option in options)


@pytest.mark.parametrize("arguments", [(), (JOB_ID, "--queue", "news"), ("--states", "never")])
def test_neither_both_nor_nonsense(peer: Peer, run: Run, arguments: tuple[str, ...]) -> None:
    assert run("watch", *arguments).exit_code == 2
    assert peer.calls == []


def test_misspelt_state_is_told_which_there_are(run: Run) -> None:
    said = " ".join(run("watch", "--states", "failed,done").stderr.replace("│", " ").split())
    assert "'done' is no state; there are PENDING, PROCESSING, COMPLETED, FAILED" in said
