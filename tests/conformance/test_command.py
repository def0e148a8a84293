"""`jobsvc conformance` from a shell."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from jobsvc.cli import app
from jobsvc.conformance.call_output import read_output
from jobsvc.conformance.client_points import CLIENT_POINTS
from jobsvc.conformance.point import RuleBroken
from jobsvc.conformance.program import fill
from jobsvc.conformance.work_stage import WorkStage
from jobsvc.conformance.worker_points import WORKER_POINTS
from tests.conformance.support.kit import tiny

pytestmark = [pytest.mark.xdist_group("conformance-client"), pytest.mark.timeout(120)]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["conformance", *words])


def test_points_that_pass_are_a_line_each_and_exit_code_0() -> None:
    result = run("client", "--only", "follow", "--only", "request-id", "--", *tiny("tiny_client"))
    assert result.exit_code == 0
    first, second, last = result.stdout.splitlines()
    assert first.split()[:2] == ["passed", "request-id"]
    assert second.split()[:2] == ["passed", "follow"]
    assert last == "2 points: 2 passed, 0 failed"


def test_point_that_fails_says_what_was_seen_and_what_to_read() -> None:
    result = run("worker", "--only", "output", *tiny("tiny_worker", "output"))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["FAILED", "output"]
    assert lines[1].split() == ["seen:", "an", "output", "differs", "from", "its", "input"]
    assert "proto/jobsvc/v1/payload.proto, Payload:" in lines[2]
    assert lines[-1] == "1 point: 0 passed, 1 failed"
    assert max(map(len, lines)) <= 80


def test_last_words_of_the_program_are_shown_as_plain_text() -> None:
    program = [sys.executable, "-c", r"import sys; sys.exit('no \x1b[31mserver')"]
    result = run("worker", "--only", "subscribe", "--", *program)
    assert result.exit_code == 1
    assert "it ended with exit code 1" in result.stdout
    assert r"log:  no \x1b[31mserver" in result.stdout


async def test_worker_that_never_came_is_told_where_it_was_awaited(tmp_path: Path) -> None:
    async with WorkStage([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path) as stage:
        with pytest.raises(RuleBroken, match=f"no `subscribe` at 127.0.0.1:{stage.port} within"):
            await stage.opened(within=0.1)


def test_program_does_not_inherit_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBSVC_TLS", "1")
    text = "import os, sys; sys.exit(str(os.environ.get('JOBSVC_TLS')))"
    result = run("worker", "--only", "subscribe", "--", sys.executable, "-c", text)
    assert "log:  None" in result.stdout


def test_json_has_a_line_for_each_point() -> None:
    command = tiny("tiny_client", "request-id")
    result = run("--json", "client", "--only", "request-id", *command)
    assert result.exit_code == 1
    (line,) = map(json.loads, result.stdout.splitlines())
    assert (line["point"], line["passed"]) == ("request-id", False)
    assert "no UUID" in line["seen"]
    assert line["read"]["place"] == "CreateJobRequest.request_id"


@pytest.mark.parametrize(("kind", "points"), [("worker", WORKER_POINTS), ("client", CLIENT_POINTS)])
def test_list_has_every_point_in_80_columns(kind: str, points: tuple[object, ...]) -> None:
    lines = run(kind, "--list").stdout.splitlines()
    assert len([line for line in lines if not line.startswith(" ")]) == len(points)
    assert max(map(len, lines)) <= 80
    as_json = run(kind, "--list", "--json").stdout.splitlines()
    assert all(json.loads(line)["read"]["words"] for line in as_json)
    assert len(as_json) == len(points)


@pytest.mark.parametrize(
    "words",
    [
        ("worker",),
        ("worker", "--only", "nothing", "true"),
        ("client", "no-such-program"),
        ("client", "--at-once", "0", "true"),
    ],
)
def test_wrong_command_line_is_a_usage_error(words: tuple[str, ...]) -> None:
    assert run(*words).exit_code == 2


def test_placeholders_stand_for_the_address() -> None:
    command = ["x", "--target={address}", "{host}", "{port}", "{other}"]
    assert fill(command, "127.0.0.1", 7) == [
        "x",
        "--target=127.0.0.1:7",
        "127.0.0.1",
        "7",
        "{other}",
    ]


def test_output_of_a_client_is_read_in_every_form_of_the_contract() -> None:
    printed = read_output(
        "a log line\n"
        '{"version": "3", "state": "JOB_STATE_PROCESSING"}\n'
        "[1]\n"
        '{"version": 4, "state": "COMPLETED", "output": "{\\"a\\": 1}"}\n'
    )
    assert printed.statuses == [(3, "PROCESSING"), (4, "COMPLETED")]
    assert (printed.state, printed.output) == ("COMPLETED", {"a": 1})
    assert read_output('{"version": "x", "state": "PENDING", "output": 3}\n').output is None
