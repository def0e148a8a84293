"""Control characters in texts of others are escaped, whatever a command shows of them."""

import json

import grpc
import pytest

from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.command import Run
from tests.client.support.messages import JOB_ID, job, update
from tests.client.support.peer import Failure, Peer

_WILD = "w\x1b[2J\x9b [bold]b[/] \U0001f422"


def _wild_job() -> job_pb2.Job:
    """What an old server may have stored."""
    message = job(job_pb2.JOB_STATE_FAILED, 2)
    message.spec.unique_key = message.status.worker_id = message.spec.labels["a"] = _WILD
    message.spec.input.json_text = json.dumps({"a": _WILD}, ensure_ascii=False)
    message.status.error.message = f"{_WILD}\nsecond"
    message.status.recent_attempts.add(worker_id=_WILD, attempt=1).error.message = _WILD
    return message


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_get_shows_control_characters_escaped(
    peer: Peer, run: Run, option: tuple[str, ...]
) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=_wild_job()))
    shown = run("get", JOB_ID, *option).stdout
    assert shown.count("[bold]b[/] \U0001f422") == 7
    assert not {"\x1b", "\x9b"} & set(shown)


def test_watch_shows_each_update_in_one_line(peer: Peer, run: Run) -> None:
    message = update(job_pb2.JOB_STATE_FAILED, 2)
    message.update.status.CopyFrom(_wild_job().status)
    peer.answer("StreamJobStatus", [message])
    (line,) = run("watch", JOB_ID).stdout.splitlines()
    assert line.endswith(r"w\x1b[2J\x9b [bold]b[/] 🐢\nsecond")


def test_failure_is_shown_with_control_characters_escaped(peer: Peer, run: Run) -> None:
    peer.answer("GetJob", Failure(grpc.StatusCode.NOT_FOUND, message=_WILD))
    result = run("get", JOB_ID)
    assert r"w\x1b[2J\x9b [bold]b[/]" in result.stderr
