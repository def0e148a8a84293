"""`jobsvc create | get | watch` against a peer on a real port."""

import json
from io import StringIO
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2
from rich.console import Console

from jobsvc.cli.parse_text import parse_duration
from jobsvc.cli.status_display import StatusDisplay
from jobsvc.client.convert.job_replies import read_update
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.command import Run
from tests.client.support.messages import JOB_ID, OTHER_ID, job, update
from tests.client.support.peer import Failure, Peer

CREATED = job_service_pb2.CreateJobResponse(job=job())


@pytest.mark.parametrize(
    "words",
    [("--session", ""), ("--user", "ä"), ("--token", " "), ("--delay", "2h", "--ttl", "1h")],
)
def test_what_no_call_could_carry_is_a_usage_error(
    peer: Peer, run: Run, words: tuple[str, ...]
) -> None:
    assert run("create", "news", *words).exit_code == 2
    assert peer.calls == []


def test_create_prints_the_id(peer: Peer, run: Run) -> None:
    peer.answer("CreateJob", CREATED)
    result = run(
        *("create", "news", '{"a": 1}', "--priority", "5", "--delay", "5m", "--ttl", "1h"),
        *("--unique-key", "k", "--label", "team=x", "--label", "a=b=c", "--max-attempts", "2"),
        *("--request-id", "b6f1c7e2-0000-4000-8000-000000000000"),
        *("--session", "s-1", "--user", "42", "--token", "t"),
    )
    assert (result.exit_code, result.stdout) == (0, JOB_ID + "\n")
    [call] = peer.calls
    spec = call.request.spec
    assert spec.input.json_text == '{"a": 1}'
    assert (spec.priority, spec.ttl.seconds, spec.unique_key) == (5, 3600, "k")
    assert spec.schedule_delay.seconds == 300
    assert dict(spec.labels) == {"team": "x", "a": "b=c"}
    assert spec.retry_policy.max_attempts == 2
    assert call.request.request_id == "b6f1c7e2-0000-4000-8000-000000000000"
    assert call.metadata["x-session-id"] == "s-1"
    assert call.metadata["x-user-id"] == "42"
    assert call.metadata["authorization"] == "Bearer t"


def test_identity_may_stand_in_the_environment(
    peer: Peer,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOBSVC_SESSION_ID", "s-2")
    monkeypatch.setenv("JOBSVC_USER_ID", "43")
    monkeypatch.setenv("JOBSVC_TOKEN", "t2")
    peer.answer("CreateJob", CREATED)
    assert run("create", "news").exit_code == 0
    metadata = peer.calls[0].metadata
    assert (metadata["x-session-id"], metadata["x-user-id"]) == ("s-2", "43")
    assert metadata["authorization"] == "Bearer t2"


@pytest.mark.parametrize(
    "words",
    [
        ("--session", "s-1", "--user", "42", "--token", "t", "--json", "get", JOB_ID),
        ("--session", "s-1", "--json", "get", "--user", "42", JOB_ID, "--token", "t"),
        ("--user", "43", "--session", "s-1", "get", JOB_ID, "--token=t", "--user=42", "--json"),
    ],
)
def test_options_may_stand_before_the_command_or_after_it(
    peer: Peer, run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("JOBSVC_TARGET", "127.0.0.1:1")
    monkeypatch.setenv("JOBSVC_SESSION_ID", "of the environment")
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    result = run("--target", peer.target, *words)
    assert json.loads(result.stdout)["id"] == JOB_ID
    [call] = peer.calls
    assert (call.metadata["x-session-id"], call.metadata["x-user-id"]) == ("s-1", "42")
    assert call.metadata["authorization"] == "Bearer t"


def test_a_worker_takes_its_target_before_the_command_too(run: Run) -> None:
    assert run("--target", "jobs.internal:50051", "work", "--help").exit_code == 0


def test_a_command_refuses_an_option_that_it_does_not_have(run: Run) -> None:
    result = run("--session", "s-1", "migrate")
    assert result.exit_code == 2
    assert "No such option" in result.stderr


def test_input_comes_from_stdin_or_a_file(peer: Peer, run: Run, tmp_path: Path) -> None:
    peer.answer("CreateJob", CREATED)
    file = tmp_path / "input.json"
    file.write_text('{"from": "file"}', encoding="utf-8")
    run("create", "news", "-", stdin='{"from": "stdin"}')
    run("create", "news", f"@{file}")
    texts = [request.spec.input.json_text for request in peer.requests("CreateJob")]
    assert texts == ['{"from": "stdin"}', '{"from": "file"}']


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", "news", "@/does/not/exist"),
        ("create", "news", "--label", "x"),
        ("create", "news", "--delay", "soon"),
        ("create", "news", "--priority", "101"),
        ("watch",),
        ("get", JOB_ID, "--nonsense"),
        ("--nonsense", "get", JOB_ID),
        ("--target",),
    ],
)
def test_misuse_exits_with_2(peer: Peer, run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert not peer.calls


def test_a_failure_is_one_clear_line(peer: Peer, run: Run) -> None:
    peer.answer(
        "GetJob", Failure(grpc.StatusCode.NOT_FOUND, "job x does not exist", "JOB_NOT_FOUND")
    )
    result = run("get", "x")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "jobsvc: NOT_FOUND (JOB_NOT_FOUND): job x does not exist\n"


def test_missing_identity_is_named(peer: Peer, run: Run) -> None:
    refusal = Failure(
        grpc.StatusCode.PERMISSION_DENIED,
        "the job belongs to somebody else",
        "JOB_NOT_OWNED",
        metadata={"missingMetadata": "x-session-id"},
    )
    peer.answer("GetJob", refusal)
    assert run("get", "x").stderr.splitlines() == [
        "jobsvc: PERMISSION_DENIED (JOB_NOT_OWNED): the job belongs to somebody else",
        "  the call had no x-session-id: pass --session or --user",
    ]


def test_further_defects_are_named_too(peer: Peer, run: Run) -> None:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=field, description="bad")
        for field in ("spec.queue", "spec.priority")
    ]
    peer.answer(
        "CreateJob",
        Failure(
            grpc.StatusCode.INVALID_ARGUMENT,
            "spec.queue: bad",
            "INVALID_REQUEST",
            details=(error_details_pb2.BadRequest(field_violations=violations),),
        ),
    )
    assert run("create", "X").stderr.splitlines() == [
        "jobsvc: INVALID_ARGUMENT (INVALID_REQUEST): spec.queue: bad",
        "  spec.priority: bad",
    ]


def test_get_shows_all_there_is(peer: Peer, run: Run) -> None:
    message = job(job_pb2.JOB_STATE_PENDING, 3, output='{"words": [1, 2]}')
    message.spec.retry_policy.max_attempts = 3
    message.status.attempt = 1
    message.status.wait_reason = job_pb2.WAIT_REASON_NO_WORKER
    message.status.error.code = code_pb2.UNAVAILABLE
    message.status.error.reason = "UPSTREAM_TIMEOUT"
    message.status.error.message = "no [answer]"
    message.status.recent_attempts.add(attempt=1, worker_id="worker-7").error.CopyFrom(
        message.status.error
    )
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=message))
    result = run("get", JOB_ID)
    assert result.exit_code == 0
    for words in (
        JOB_ID,
        "PENDING",
        "no worker is subscribed",
        "1 of 3",
        "UNAVAILABLE (UPSTREAM_TIMEOUT): no [answer]",
        "worker-7",
        '"words"',
    ):
        assert words in result.stdout


def test_get_as_json_can_be_read_by_programs(peer: Peer, run: Run) -> None:
    done = job(job_pb2.JOB_STATE_COMPLETED, 3, output='{"words": 3}')
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=done))
    shown = json.loads(run("get", JOB_ID, "--json").stdout)
    assert shown["id"] == JOB_ID
    assert shown["status"]["state"] == "COMPLETED"
    assert shown["status"]["output"] == {"words": 3}
    assert shown["status"]["end_time"].startswith("2023-11-14T")


def test_watch_exits_with_0_when_all_completed(peer: Peer, run: Run) -> None:
    running = update(job_pb2.JOB_STATE_PROCESSING, 2)
    running.update.status.attempt = 1
    running.update.status.progress.percent = 40
    running.update.status.progress.message = "reading [b]"
    peer.answer("StreamJobStatus", [running, update(job_pb2.JOB_STATE_COMPLETED, 3)])
    result = run("watch", JOB_ID)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{JOB_ID} news PROCESSING attempt 1 40 % reading [b]",
        f"{JOB_ID} news COMPLETED",
    ]


@pytest.mark.parametrize("state", [job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED])
def test_watch_exits_with_1_when_one_did_not(
    peer: Peer, run: Run, state: job_pb2.JobState.ValueType
) -> None:
    ends = [update(state, 3), update(job_pb2.JOB_STATE_COMPLETED, 3, OTHER_ID)]
    peer.answer("StreamJobStatus", ends)
    assert run("watch", JOB_ID, OTHER_ID).exit_code == 1


def test_create_can_follow_its_job(peer: Peer, run: Run) -> None:
    peer.answer("CreateJob", CREATED)
    peer.answer("StreamJobStatus", [update(job_pb2.JOB_STATE_COMPLETED, 2, output='{"a":1}')])
    result = run("create", "news", "--watch", "--json")
    created, ended = map(json.loads, result.stdout.splitlines())
    assert created["existing"] is False
    assert ended["status"]["output"] == {"a": 1}
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("1d", 86_400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_a_terminal_gets_a_live_table() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=160, height=40)
    with StatusDisplay(console) as display:
        display.show(read_update(update(job_pb2.JOB_STATE_PROCESSING, 2).update))
        display.show(read_update(update(job_pb2.JOB_STATE_COMPLETED, 9, OTHER_ID).update))
    shown = out.getvalue()
    assert JOB_ID in shown
    assert "1 PROCESSING, 1 COMPLETED" in shown


def test_a_small_terminal_shows_what_still_runs() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=160, height=5)
    with StatusDisplay(console) as display:
        display.show(read_update(update(job_pb2.JOB_STATE_COMPLETED, 9, OTHER_ID).update))
        display.show(read_update(update(job_pb2.JOB_STATE_PROCESSING, 2).update))
    assert "1 not shown" in out.getvalue()
    assert OTHER_ID not in out.getvalue().splitlines()[-2]
