"""The screen of `jobsvc top`, line by line."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.cli.top_view import TopState, render, share_lines, wait_words
from jobsvc.client import DurationPercentiles, HeldLease, QueueHistoryStep, QueueStats, Worker

NOW = datetime(2026, 12, 1, 12, 34, 56, tzinfo=UTC)
TIMES = DurationPercentiles(count=9, p50_seconds=0.012, p95_seconds=1.23, p99_seconds=9.0)
RECENT = QueueHistoryStep(
    start_time=NOW,
    duration_seconds=300.0,
    created_count=2500,
    completed_count=2000,
    cancelled_count=0,
    failed_count=2,
    failed_counts={"INTERNAL": 2},
    retried_count=0,
    ready_count=0,
    processing_count=0,
    wait=TIMES,
    run=replace(TIMES, p95_seconds=75.0),
)


def queue(name: str, **changes: Any) -> QueueStats:
    fields = {
        "queue": name,
        "paused": False,
        "scheduled_count": 0,
        "ready_count": 0,
        "processing_count": 0,
        "oldest_ready_seconds": None,
        "worker_count": 1,
        "open_window": 5,
        **changes,
    }
    return QueueStats(**fields)


def worker(name: str, held: int = 0, queues: tuple[str, ...] = ("mail",)) -> Worker:
    return Worker(
        id=name,
        version="1",
        sdk="sdk",
        labels={},
        queues=queues,
        window=10,
        lease_count=held,
        leases=tuple(
            HeldLease(job_id="j", queue="mail", attempt=1, start_time=NOW - timedelta(seconds=90))
            for _ in range(held)
        ),
        server_id="server",
        connect_time=NOW,
        last_seen_time=NOW,
        drain_time=None,
    )


STATE = TopState(
    "db.example.com:50051",
    NOW,
    (
        queue("mail", ready_count=12_345, processing_count=7, worker_count=2, open_window=0,
              scheduled_count=1_250_000, oldest_ready_seconds=4000.0, recent=RECENT),
        queue("idle", recent=None),
        queue("news", paused=True, ready_count=3, oldest_ready_seconds=7.0),
    ),
    (worker("host-1/ab", 2, ("mail", "idle")), worker("host-2/cd")),
)  # fmt: skip


def text(state: TopState, width: int = 80, height: int | None = 24) -> list[str]:
    return [line.plain.rstrip() for line in render(state, width, height)]


def test_screen_of_80_columns() -> None:
    assert text(STATE) == [
        "jobsvc db.example.com:50051                                    12:34:56  q quits",
        "",
        "queue        ready sched  run  old in/m done fail wait 50/95 run 50/95  wkr free",
        "mail           12k  1.2M    7  67m  500  400  0.4  12ms/1.2s  12ms/75s    2    0",
        "news             3     0    0 7.0s                                        1    5",
        "idle             0     0    0                                             1    5",
        "",
        "what waits, and why",
        "mail: all workers are busy, 12,345 ready",
        "news: is paused, 3 ready",
        "",
        "worker    holds window longest  queues",
        "host-1/ab     2     10     90s  mail idle",
        "host-2/cd     0     10          mail",
    ]


def test_trouble_is_in_the_first_line() -> None:
    first = text(replace(STATE, trouble="reconnecting, 12 s"))[0]
    assert "reconnecting, 12 s" in first
    assert len(first) == 80


QUEUES = st.builds(
    queue,
    st.sampled_from(["a", "b" * 63, "c-d"]),
    paused=st.booleans(),
    ready_count=st.sampled_from([0, 1, 10**12]),
    scheduled_count=st.sampled_from([0, 10**12]),
    oldest_ready_seconds=st.sampled_from([None, 0.001, 5000.0, 7e7]),
    worker_count=st.integers(0, 3),
    open_window=st.integers(0, 3),
    recent=st.sampled_from([None, RECENT, replace(RECENT, wait=None, created_count=10**13)]),
)
WORKERS = st.builds(worker, st.sampled_from(["w", "w" * 128, "bad\x1b[2J\n"]), st.integers(0, 3))


@given(
    st.lists(QUEUES, max_size=40),
    st.lists(WORKERS, max_size=40),
    st.integers(1, 200),
    st.integers(1, 60),
    st.sampled_from(["", "reconnecting, 12 s"]),
)
def test_lines_fit_whatever_the_size(
    queues: list[QueueStats], workers: list[Worker], width: int, height: int, trouble: str
) -> None:
    lines = render(TopState("t" * 90, NOW, queues, workers, trouble), width, height)
    assert len(lines) <= height
    assert all(len(line.plain) <= width and line.plain.isprintable() for line in lines)


@pytest.mark.parametrize("height", [24, 12, 8])
def test_what_is_left_out_is_counted(height: int) -> None:
    queues = [queue(f"q{n:03}", ready_count=n, worker_count=n % 2) for n in range(100)]
    workers = [worker(f"w{n}") for n in range(50)]
    lines = text(TopState("t", NOW, queues, workers), 80, height)
    assert len(lines) <= height
    told = [line for line in lines if line.startswith("… ")]
    assert told
    shown = sum(line.startswith("q0") and ":" not in line for line in lines)
    assert f"… {100 - shown} more queues" in told


def test_queues_with_a_reason_to_wait_come_first() -> None:
    queues = [queue(name, worker_count=workers, ready_count=1) for name, workers in
              (("a", 1), ("b", 0), ("c", 1))]  # fmt: skip
    assert [line[0] for line in text(TopState("t", NOW, queues, ()))[3:6]] == ["b", "a", "c"]


@given(st.integers(0, 60), st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_lines_are_shared_and_none_is_wasted(height: int, wanted: list[int]) -> None:
    given_lines = share_lines(height, wanted)
    assert all(0 <= got <= want for got, want in zip(given_lines, wanted, strict=True))
    assert sum(given_lines) == min(height, sum(wanted))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"ready_count": 3, "oldest_ready_seconds": 1.0}, ""),
        ({"scheduled_count": 3, "worker_count": 0}, ""),
        ({"ready_count": 3, "worker_count": 0}, "no worker is subscribed to it, 3 ready"),
        ({"ready_count": 3, "open_window": 0}, "all workers are busy, 3 ready"),
        ({"paused": True, "ready_count": 1234}, "is paused, 1,234 ready"),
        ({"deleting": True}, "is being removed"),
        (
            {"ready_count": 3, "oldest_ready_seconds": 20.0},
            "workers have room, yet a job has been ready for 20s",
        ),
    ],
)
def test_why_jobs_wait(changes: dict[str, Any], words: str) -> None:
    assert wait_words(queue("q", **changes)) == words
