"""`jobsvc top` and `jobsvc queues --watch` in a terminal, and out of one."""

import json
import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager

import grpc
import pytest

from jobsvc.v1 import queue_service_pb2 as pb
from tests.client.support.command import Run
from tests.client.support.peer import Failure, Peer
from tests.client.support.terminal import Terminal, terminal
from tests.support.probe import blocking_eventually

MAIL = pb.QueueStats(queue="mail", ready_count=3, state=pb.QUEUE_STATE_ACTIVE)
BUSY = pb.QueueStats(queue="mail", ready_count=777, state=pb.QUEUE_STATE_ACTIVE)
AWAY = Failure(grpc.StatusCode.UNAVAILABLE, bare=True)
COMMANDS = (("top",), ("queues", "--watch"))
#: What ends the other screen that these programs use, and shows the cursor again.
RESTORED = ("\x1b[?1049l", "\x1b[?25h")


def stats(*queues: pb.QueueStats) -> pb.GetQueueStatsResponse:
    return pb.GetQueueStatsResponse(stats=queues)


@pytest.fixture
def queues(peer: Peer) -> Peer:
    """A peer with a queue, and without workers."""
    peer.answer("GetQueueStats", stats(MAIL))
    peer.answer("ListWorkers", pb.ListWorkersResponse())
    return peer


def opened(peer: Peer, *words: str, interval: str = "0.5s") -> AbstractContextManager[Terminal]:
    return terminal({"JOBSVC_TARGET": peer.target}, *words, "--interval", interval)


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("leave", ["q", "\x03", signal.SIGTERM])
def test_terminal_is_as_before_whoever_quits(
    queues: Peer, words: tuple[str, ...], leave: str | signal.Signals
) -> None:
    with opened(queues, *words) as shown:
        shown.until("mail")
        assert shown.settings != shown.first_settings
        if isinstance(leave, str):
            shown.press(leave)
        else:
            shown.process.send_signal(leave)
        assert shown.exit_code() == 0
        assert all(sequence in shown.written for sequence in RESTORED)
        assert "Traceback" not in shown.written
        assert shown.settings == shown.first_settings


@pytest.mark.parametrize("words", COMMANDS)
def test_changes_are_shown(queues: Peer, words: tuple[str, ...]) -> None:
    with opened(queues, *words) as shown:
        shown.until("mail")
        queues.answer("GetQueueStats", stats(BUSY))
        shown.until("777")


@pytest.mark.parametrize("words", COMMANDS)
def test_server_that_comes_back_is_shown_again(queues: Peer, words: tuple[str, ...]) -> None:
    with opened(queues, *words) as shown:
        shown.until("mail")
        queues.answer("GetQueueStats", AWAY)
        assert any("mail" in line for line in shown.until("reconnecting"))
        queues.answer("GetQueueStats", stats(BUSY))
        shown.until("777", beside="reconnecting")
        shown.press("q")
        assert shown.exit_code() == 0


def test_caller_that_loses_its_role_is_told(queues: Peer) -> None:
    with opened(queues, "top") as shown:
        shown.until("mail")
        refusal = Failure(grpc.StatusCode.PERMISSION_DENIED, "no", "ROLE_REQUIRED")
        queues.answer("GetQueueStats", refusal)
        shown.until("ROLE_REQUIRED")


@pytest.mark.parametrize("words", COMMANDS)
def test_screen_follows_the_size_of_the_window(peer: Peer, words: tuple[str, ...]) -> None:
    peer.answer("GetQueueStats", stats(*(pb.QueueStats(queue=f"q{n}") for n in range(200))))
    peer.answer("ListWorkers", pb.ListWorkersResponse())
    # So that nothing else makes it draw anew.
    with opened(peer, *words, interval="1h") as shown:
        shown.until("more queues")
        for columns, lines in ((100, 50), (40, 10)):
            shown.resize(columns, lines)
            screen = shown.until_lines(lines)
            assert max(map(len, screen)) <= columns


def test_first_failure_is_a_line(peer: Peer, run: Run) -> None:
    peer.answer("GetQueueStats", Failure(grpc.StatusCode.PERMISSION_DENIED, "no", "NO_ROLE"))
    for words in COMMANDS:
        result = run(*words)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "jobsvc: PERMISSION_DENIED (NO_ROLE): no\n"


def test_out_of_a_terminal_top_prints_one_table(queues: Peer, run: Run) -> None:
    result = run("top")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[2].split()[:4] == ["queue", "ready", "sched", "run"]
    assert lines[3].split()[:2] == ["mail", "3"]
    assert "mail: no worker is subscribed to it, 3 ready" in lines
    assert "\x1b" not in result.stdout
    [document] = run("top", "--json").stdout.splitlines()
    assert json.loads(document)["ready_count"] == 3


def test_top_may_be_about_some_queues(queues: Peer, run: Run) -> None:
    workers = pb.ListWorkersResponse()
    workers.workers.add(queues=["mail", "news"]).info.worker_id = "one"
    workers.workers.add(queues=["other"]).info.worker_id = "two"
    queues.answer("ListWorkers", workers)
    run("top")
    output = run("top", "--queue", "mail", "--queue", "news").stdout
    assert list(queues.requests("GetQueueStats")[-1].queues) == ["mail", "news"]
    assert "one" in output
    assert "two" not in output


@pytest.mark.parametrize("words", [("top",), ("queues", "list")])
def test_interval_has_a_least(queues: Peer, run: Run, words: tuple[str, ...]) -> None:
    assert run(*words, "--interval", "0.4s").exit_code == 2
    assert queues.calls == []


def test_out_of_a_terminal_a_table_comes_with_each_change(queues: Peer) -> None:
    environment = {**os.environ, "JOBSVC_TARGET": queues.target}
    words = ("queues", "--watch", "--json", "--interval", "0.5s")
    with subprocess.Popen(
        [sys.executable, "-m", "jobsvc", *words], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready_count"] == 3
        seen = len(queues.calls)
        blocking_eventually(lambda: len(queues.calls) > seen + 2)
        queues.answer("GetQueueStats", AWAY)
        blocking_eventually(lambda: len(queues.calls) > seen + 4)
        queues.answer("GetQueueStats", stats(BUSY))
        # The next line there is: nothing was printed while nothing had changed.
        assert json.loads(process.stdout.readline())["ready_count"] == 777
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_other_commands_of_the_group_watch_nothing(queues: Peer, run: Run) -> None:
    assert run("queues", "pause", "mail", "--watch").exit_code == 2
    assert run("queues").exit_code == 2
