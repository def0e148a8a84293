"""`jobsvc bulk` against a peer on a real port."""

import itertools
import json

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.cli.bulk_text import ProgressLines
from jobsvc.client.convert.bulk_operations import read_operation
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from tests.client.support.bulk import COMPLETED, OPERATION_ID, RUNNING, STOPPED, operation
from tests.client.support.command import Run
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Failure, Peer

ERROR = pb.BulkOperationError(job_id=JOB_ID, reason="QUEUE_FULL", message="queue news\nis full")
STARTED = pb.BulkJobsResponse(operation=operation())
PREVIEW = pb.BulkJobsResponse(matching_count=1234, is_estimate=True, sample=[job(), job()])


def test_filter_and_options_are_spelled_as_in_the_contract(peer: Peer, run: Run) -> None:
    peer.answer("BulkJobs", STARTED)
    result = run(
        *("bulk", "retry", "--attempts", "3", "--rate", "2.5", "--most", "100"),
        *("--queues", "a,b", "--states", "failed", "--labels", "k=v", "--own-session"),
        *("--own-user", "--create-time-from", "2026-01-01T00:00Z"),
        *("--create-time-until", "2026-01-02T00:00Z", "--request-id", OPERATION_ID),
    )
    assert (result.exit_code, result.stdout) == (0, f"{OPERATION_ID}\n")
    [request] = peer.requests("BulkJobs")
    assert request == pb.BulkJobsRequest(
        filter=pb.JobFilter(
            queues=["a", "b"],
            states=[job_pb2.JOB_STATE_FAILED],
            labels={"k": "v"},
            own_session=True,
            own_user=True,
            create_time_from=Timestamp(seconds=1_767_225_600),
            create_time_until=Timestamp(seconds=1_767_312_000),
        ),
        retry=pb.BulkRetry(extra_attempts=3),
        rate=2.5,
        most=100,
        request_id=OPERATION_ID,
    )


def test_cancel_and_delete_ask_first_and_say_how_many(peer: Peer, run: Run) -> None:
    peer.answer("BulkJobs", lambda r: PREVIEW if r.validate_only else STARTED)
    for words, question in (
        (("cancel", "--reason", "why", "--states", "PENDING"), "Cancel about 1,234 jobs? [y/N]"),
        (("delete", "--queues", "news"), "Delete about 1,234 jobs? [y/N]"),
    ):
        for answer in ("", "n\n"):
            refused = run("bulk", *words, stdin=answer)
            assert refused.exit_code == 1
            assert question in refused.stderr
    assert all(request.validate_only for request in peer.requests("BulkJobs"))
    assert run("bulk", "cancel", "--reason", "why", stdin="y\n").exit_code == 0
    assert run("bulk", "delete", "--yes").exit_code == 0
    asked, started, deleted = peer.requests("BulkJobs")[-3:]
    assert (asked.validate_only, started.validate_only) == (True, False)
    assert started.cancel == pb.BulkCancel(reason="why")
    assert deleted.HasField("delete")
    assert not deleted.validate_only


@pytest.mark.parametrize(
    ("words", "verb"), [(("retry",), "Retry"), (("update", "--priority", "3"), "Update")]
)
def test_whoever_means_all_jobs_is_asked(
    peer: Peer, run: Run, words: tuple[str, ...], verb: str
) -> None:
    peer.answer("BulkJobs", lambda r: PREVIEW if r.validate_only else STARTED)
    refused = run("bulk", *words)
    assert refused.exit_code == 1
    assert f"{verb} about 1,234 jobs? [y/N]" in refused.stderr
    assert all(request.validate_only for request in peer.requests("BulkJobs"))
    assert run("bulk", *words, "--yes").exit_code == 0
    assert not peer.requests("BulkJobs")[-1].validate_only


def test_retry_and_update_by_a_filter_do_not_ask(peer: Peer, run: Run) -> None:
    peer.answer("BulkJobs", STARTED)
    assert run("bulk", "retry", "--queues", "news").exit_code == 0
    words = ("--priority", "3", "--schedule-time", "now", "--expire-time", "2033-01-01T00:00Z")
    words = (*words, "--queues", "news")
    assert run("bulk", "update", *words, "--new-label", "a=b").exit_code == 0
    update = peer.requests("BulkJobs")[1].update
    paths = ["priority", "schedule_time", "expire_time", "labels"]
    assert update == pb.BulkUpdate(
        spec=job_pb2.JobSpec(
            priority=3, expire_time=Timestamp(seconds=1_988_150_400), labels={"a": "b"}
        ),
        update_mask=FieldMask(paths=paths),
    )


def test_update_without_a_change_is_refused(peer: Peer, run: Run) -> None:
    result = run("bulk", "update", "--queues", "news")
    assert (result.exit_code, peer.calls) == (2, [])
    assert "nothing to change" in result.stderr


def test_unknown_state_is_refused(peer: Peer, run: Run) -> None:
    result = run("bulk", "retry", "--states", "DEAD")
    assert (result.exit_code, peer.calls) == (2, [])


@pytest.mark.parametrize("option", ["--validate-only", "--dry-run"])
def test_dry_run_prints_how_many_and_some(peer: Peer, run: Run, option: str) -> None:
    peer.answer("BulkJobs", PREVIEW)
    result = run("bulk", "delete", option)
    assert result.exit_code == 0
    first, *sample = result.stdout.splitlines()
    assert first == "about 1,234 jobs would be touched"
    assert [line.split() for line in sample] == [[JOB_ID, "news", "PENDING"]] * 2
    [request] = peer.requests("BulkJobs")
    assert request.validate_only
    document = json.loads(run("bulk", "delete", option, "--json").stdout)
    assert (document["count"], document["is_estimate"]) == (1234, True)
    assert len(document["sample"]) == 2


def test_wait_follows_it_to_the_end(peer: Peer, run: Run) -> None:
    peer.answer("BulkJobs", STARTED)
    peer.answer("GetBulkOperation", pb.GetBulkOperationResponse(operation=operation()))
    end = operation(COMPLETED, version=7, done_count=1234, skipped_count=5)
    peer.answer("WaitBulkOperation", pb.WaitBulkOperationResponse(operation=end))
    result = run("bulk", "retry", "--yes", "--wait")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        OPERATION_ID,
        "RUNNING: 0 done",
        "COMPLETED: 1,234 done, 5 skipped",
    ]
    documents = [
        json.loads(line)
        for line in run("bulk", "retry", "--yes", "--wait", "--json").stdout.splitlines()
    ]
    assert [document["version"] for document in documents] == [1, 7]


def test_wait_for_a_stopped_operation_fails(peer: Peer, run: Run) -> None:
    stopped = pb.GetBulkOperationResponse(operation=operation(STOPPED))
    peer.answer("GetBulkOperation", stopped)
    result = run("bulk", "show", OPERATION_ID, "--wait")
    assert (result.exit_code, result.stdout) == (1, "STOPPED: 0 done\n")
    assert run("bulk", "show", OPERATION_ID).exit_code == 0


def test_operations_are_a_table_that_fits_80_columns(peer: Peer, run: Run) -> None:
    many = operation(done_count=12_345_678, skipped_count=1_234_567)
    page = pb.ListBulkOperationsResponse(operations=[many, operation(COMPLETED)])
    peer.answer("ListBulkOperations", page)
    lines = run("bulk", "list").stdout.splitlines()
    assert lines[0].split() == ["OPERATION", "KIND", "STATE", "DONE", "SKIPPED"]
    assert lines[1].split() == [OPERATION_ID, "retry", "RUNNING", "12,345,678", "1,234,567"]
    assert max(map(len, lines)) <= 80
    documents = run("bulk", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["state"] for line in documents] == ["RUNNING", "COMPLETED"]


def test_operation_is_shown_with_all_that_is_known(peer: Peer, run: Run) -> None:
    told = operation(
        rate=5.0,
        most=9,
        done_count=3,
        skipped_count=2,
        skipped_by_reason={"UNIQUE_KEY_TAKEN": 2},
        last_error=ERROR,
    )
    peer.answer("GetBulkOperation", pb.GetBulkOperationResponse(operation=told))
    lines = run("bulk", "show", OPERATION_ID).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert {line[:14].strip(): line[14:] for line in lines if line[0] != " "}.items() >= {
        "operation": OPERATION_ID,
        "does": "retry extra_attempts=2",
        "jobs": "queues=news states=FAILED",
        "state": "RUNNING",
        "done": "3",
        "skipped": "2",
        "last error": "QUEUE_FULL: queue news\\nis full",
        "of job": JOB_ID,
        "rate": "5 jobs a second at most",
        "most": "9",
    }.items()
    assert "              UNIQUE_KEY_TAKEN: 2" in lines
    shown = json.loads(run("bulk", "show", OPERATION_ID, "--json").stdout)
    assert shown["last_error"]["reason"] == "QUEUE_FULL"


def test_operation_is_stopped(peer: Peer, run: Run) -> None:
    stopped = pb.StopBulkOperationResponse(operation=operation(STOPPED, done_count=4))
    peer.answer("StopBulkOperation", stopped)
    assert run("bulk", "stop", OPERATION_ID).stdout == "STOPPED: 4 done\n"
    assert json.loads(run("bulk", "stop", OPERATION_ID, "--json").stdout)["done_count"] == 4


def test_refusal_is_a_line_and_exit_code_1(peer: Peer, run: Run) -> None:
    reason = "BULK_OPERATION_NOT_FOUND"
    peer.answer("StopBulkOperation", Failure(grpc.StatusCode.NOT_FOUND, "no such", reason))
    result = run("bulk", "stop", OPERATION_ID)
    assert (result.exit_code, result.stderr) == (1, f"jobsvc: NOT_FOUND ({reason}): no such\n")


def test_steps_of_one_second_are_one_line() -> None:
    ticks = itertools.count()
    lines = ProgressLines(lambda: next(ticks) * 0.4)
    steps = [read_operation(operation(RUNNING, done_count=n, last_error=ERROR)) for n in range(5)]
    told = [lines.next(step) for step in [*steps, read_operation(operation(COMPLETED))]]
    waits = "(QUEUE_FULL)"
    assert told == [
        f"RUNNING: 0 done {waits}",
        "",
        "",
        f"RUNNING: 3 done {waits}",
        "",
        "COMPLETED: 0 done",
    ]
