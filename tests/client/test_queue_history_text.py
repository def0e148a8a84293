"""The history of a queue as lines."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.cli.queue_history_text import history_lines, window_and_step
from jobsvc.client import DurationPercentiles, QueueHistoryStep
from jobsvc.v1 import queue_service_pb2 as pb
from tests.client.support.command import Run
from tests.client.support.peer import Failure, Peer

BEGIN = datetime(2026, 12, 1, 12, tzinfo=UTC)


def step(number: int, minutes: int = 2, **changes: Any) -> QueueHistoryStep:
    zeros = ("created", "completed", "cancelled", "failed", "retried", "ready", "processing")
    fields = {
        "start_time": BEGIN + number * timedelta(minutes=minutes),
        "duration_seconds": minutes * 60.0,
        "failed_counts": {},
        "wait": None,
        "run": None,
        **{f"{name}_count": 0 for name in zeros},
        **changes,
    }
    return QueueHistoryStep(**fields)


def busy_hour() -> list[QueueHistoryStep]:
    steps = []
    for number in range(30):
        seconds = 0.01 * 1.3**number
        times = DurationPercentiles(
            count=9, p50_seconds=seconds, p95_seconds=2 * seconds, p99_seconds=3 * seconds
        )
        steps.append(
            step(
                number,
                created_count=number * 24,
                completed_count=700 - number,
                failed_count=number % 7,
                failed_counts={"LEASE_EXPIRED": number % 7},
                ready_count=number * 1000,
                wait=None if number < 3 else times,
            )
        )
    return steps


def test_history_has_a_bar_for_each_step() -> None:
    assert list(history_lines(busy_hour(), "utf-8")) == [
        "history         1h, 2m a bar                          now       most",
        "created         ▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇█████    348/min    348/min",
        "completed       ██████████████████████████████    336/min    350/min",
        "failed          ▁▃▄▅▆▇█▁▃▄▅▆▇█▁▃▄▅▆▇█▁▃▄▅▆▇█▁▃    0.5/min      3/min",
        "wait p50           ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▃▃▃▄▅▆▇█        20s        20s",
        "wait p95           ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▃▃▃▄▅▆▇█        40s        40s",
        "wait p99           ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▃▃▃▄▅▆▇█        60s        60s",
        "most ready      ▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇█████        29k        29k",
        "failed because  LEASE_EXPIRED 85",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_lines_fit_80_columns_and_the_terminal(encoding: str) -> None:
    many = [step(n, 36, created_count=10**14 * n, ready_count=10**9) for n in range(40)]
    for line in [*history_lines(busy_hour(), encoding), *history_lines(many, encoding)]:
        assert len(line) <= 80, line
        assert line.encode(encoding)


def test_quiet_queue_has_one_line() -> None:
    lines = list(history_lines([step(n) for n in range(30)], "utf-8"))
    assert lines == ["history         nothing in the last 1h"]
    assert list(history_lines([], "utf-8")) == []


@given(st.floats(0, 200_000))
def test_window_is_a_number_of_steps_that_the_server_takes(seconds: float) -> None:
    window, length = window_and_step(seconds)
    assert min(seconds, 86_400) <= window <= 86_400
    assert window % length == length % 60 == 0
    assert 1 <= window // length <= 40


def test_history_is_shown_below_the_queue(peer: Peer, run: Run) -> None:
    peer.answer("GetQueue", pb.GetQueueResponse(queue=pb.Queue(name="news", etag="3")))
    peer.answer("GetQueueStats", pb.GetQueueStatsResponse(stats=[pb.QueueStats(queue="news")]))
    found = pb.GetQueueHistoryResponse()
    found.steps.add(created_count=6, failed_count=2, failed_counts={"LEASE_EXPIRED": 2})
    found.steps[0].duration.seconds = 720
    found.steps[0].run.p95.seconds = 3
    peer.answer("GetQueueHistory", found)
    lines = run("queues", "show", "news", "--window", "8h").stdout.splitlines()
    facts = {line[:16].strip(): line[16:].split() for line in lines}
    assert facts["created"][1:] == ["0.5/min", "0.5/min"]
    assert facts["run p95"][1:] == ["3.0s", "3.0s"]
    assert facts["failed because"] == ["LEASE_EXPIRED", "2"]
    (request,) = peer.requests("GetQueueHistory")
    assert (request.queue, request.window.seconds, request.step.seconds) == ("news", 28_800, 720)
    shown = json.loads(run("queues", "show", "news", "--json").stdout)
    assert shown["history"][0]["failed_counts"] == {"LEASE_EXPIRED": 2}
    assert shown["history"][0]["run"]["p95_seconds"] == 3.0
    assert shown["etag"] == "3"


def test_older_server_has_no_history(peer: Peer, run: Run) -> None:
    peer.answer("GetQueue", pb.GetQueueResponse(queue=pb.Queue(name="news")))
    peer.answer("GetQueueStats", pb.GetQueueStatsResponse(stats=[pb.QueueStats(queue="news")]))
    peer.answer("GetQueueHistory", Failure(grpc.StatusCode.UNIMPLEMENTED, bare=True))
    result = run("queues", "show", "news")
    assert result.exit_code == 0
    assert "history" not in result.stdout
    assert json.loads(run("queues", "show", "news", "--json").stdout)["history"] == []
