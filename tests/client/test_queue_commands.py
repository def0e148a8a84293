"""`jobsvc queues` and `jobsvc workers` against a peer on a real port."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from rich.console import Console

from jobsvc.cli.queue_text import print_queues, print_workers
from jobsvc.client.convert.queue_replies import read_stats, read_worker
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.worker_service_pb2 import WorkerInfo
from tests.client.support.command import Run
from tests.client.support.peer import Failure, Peer

PAUSED = pb.Queue(
    name="news",
    state=pb.QUEUE_STATE_PAUSED,
    pause_reason="the site\nis down",
    max_waiting=7,
    etag="3",
)
STATS = pb.QueueStats(
    queue="news",
    state=pb.QUEUE_STATE_PAUSED,
    ready_count=1234,
    processing_count=5,
    oldest_ready_age=Duration(seconds=7200),
    worker_count=2,
)
WORKER = pb.Worker(
    info=WorkerInfo(worker_id="host-1/ab", version="1", sdk="sdk"),
    queues=["news", "mail"],
    window=10,
    lease_count=1,
    server_id="server-1",
)
WORKER.connect_time.FromDatetime(datetime.now(UTC))
WORKER.leases.add(job_id="j", queue="news", attempt=2).start_time.GetCurrentTime()


def test_queues_are_listed_with_their_counts(peer: Peer, run: Run) -> None:
    peer.answer("GetQueueStats", pb.GetQueueStatsResponse(stats=[STATS]))
    result = run("queues", "list")
    assert result.exit_code == 0
    header, line = result.stdout.splitlines()
    assert header.split() == [
        *("queue", "state", "ready", "scheduled", "running", "oldest", "workers")
    ]
    assert line.split() == ["news", "paused", "1,234", "0", "5", "2h", "2"]
    [document] = run("queues", "list", "--json").stdout.splitlines()
    assert json.loads(document)["ready_count"] == 1234


def test_queue_is_shown_with_its_pause(peer: Peer, run: Run) -> None:
    peer.answer("GetQueue", pb.GetQueueResponse(queue=PAUSED))
    peer.answer("GetQueueStats", pb.GetQueueStatsResponse(stats=[STATS]))
    peer.answer("GetQueueHistory", pb.GetQueueHistoryResponse())
    lines = run("queues", "show", "news").stdout.splitlines()
    facts = {line[:16].strip(): line[16:] for line in lines}
    assert facts["state"] == "paused"
    assert "the site" in facts["paused because"]
    assert "is down" in facts["paused because"]
    assert facts["may wait"] == "7 (full: creations are refused)"
    shown = json.loads(run("queues", "show", "news", "--json").stdout)
    assert (shown["paused"], shown["max_waiting"], shown["etag"]) == (True, 7, "3")


def test_queue_is_paused_and_resumed(peer: Peer, run: Run) -> None:
    peer.answer("PauseQueue", pb.PauseQueueResponse(queue=PAUSED))
    words = ("--for", "5m", "--reason", "why", "--etag", "2")
    result = run("queues", "pause", "news", *words)
    assert (result.exit_code, result.stdout) == (0, "news is paused\n")
    [request] = peer.requests("PauseQueue")
    assert request == pb.PauseQueueRequest(
        name="news", reason="why", etag="2", duration=Duration(seconds=300)
    )
    peer.answer("ResumeQueue", pb.ResumeQueueResponse(queue=pb.Queue(name="news")))
    assert run("queues", "resume", "news").stdout == "news is active\n"
    assert peer.requests("ResumeQueue") == [pb.ResumeQueueRequest(name="news")]


def test_purge_and_delete_ask_first(peer: Peer, run: Run) -> None:
    for words in (("purge", "news"), ("delete", "news", "--force")):
        for answer in ("", "n\n"):
            assert run("queues", *words, stdin=answer).exit_code == 1
    assert peer.calls == []
    peer.answer("PurgeQueue", pb.PurgeQueueResponse(cancelled_count=1234))
    peer.answer("DeleteQueue", pb.DeleteQueueResponse())
    assert run("queues", "purge", "news", "--yes").stdout == "1,234 jobs were cancelled\n"
    assert json.loads(run("queues", "purge", "news", "-y", "--json").stdout) == {
        "cancelled_count": 1234
    }
    assert run("queues", "delete", "news", "--force", stdin="y\n").exit_code == 0
    assert peer.requests("DeleteQueue") == [pb.DeleteQueueRequest(name="news", force=True)]


def test_refusal_is_a_line_and_exit_code_1(peer: Peer, run: Run) -> None:
    peer.answer(
        "DeleteQueue",
        Failure(grpc.StatusCode.FAILED_PRECONDITION, "has jobs", "QUEUE_NOT_EMPTY"),
    )
    result = run("queues", "delete", "news", "--yes")
    assert result.exit_code == 1
    assert result.stderr == "jobsvc: FAILED_PRECONDITION (QUEUE_NOT_EMPTY): has jobs\n"


def test_queues_of_a_file_are_declared(peer: Peer, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "queues.json"
    queues = [
        {
            "name": "news",
            "input_schema": {"type": "object"},
            "attempt_timeout": "5m",
            "lease": 10,
            "retry": {"max_attempts": 2, "max_backoff": "1h"},
            "max_waiting": 0,
        },
        {"name": "mail"},
    ]
    file.write_text(json.dumps(queues))
    peer.answer("UpdateQueue", pb.UpdateQueueResponse(queue=pb.Queue(name="news")))
    result = run("queues", "declare", str(file))
    assert (result.exit_code, result.stdout) == (0, "news\nnews\n")
    first, second = [request.queue for request in peer.requests("UpdateQueue")]
    assert first.input_schema.json_schema_text == '{"type": "object"}'
    assert (first.attempt_timeout.seconds, first.lease_duration.seconds) == (300, 10)
    assert (first.retry_policy.max_attempts, first.retry_policy.max_backoff.seconds) == (2, 3600)
    assert first.HasField("max_waiting")
    assert second == pb.Queue(name="mail")


@pytest.mark.parametrize(
    "text", ["{", "[1]", "{}", '{"name": "a", "leas": 1}', '{"name": "a", "retry": {"x": 1}}']
)
def test_file_with_anything_else_is_a_usage_error(
    peer: Peer, run: Run, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "queues.json"
    file.write_text(text)
    assert run("queues", "declare", str(file)).exit_code == 2
    assert peer.calls == []


def test_workers_are_listed_with_what_they_hold(peer: Peer, run: Run) -> None:
    peer.answer("ListWorkers", pb.ListWorkersResponse(workers=[WORKER], next_page_token="t"))
    peer.answer("ListWorkers", pb.ListWorkersResponse(workers=[WORKER]))
    result = run("workers", "list", "--queue", "news")
    _, line, _ = result.stdout.splitlines()
    words = line.split()
    assert words[:5] == ["host-1/ab", "news", "mail", "1", "10"]
    assert words[-1] == "server-1"
    first, second = peer.requests("ListWorkers")
    assert (first.queue, first.page_token, second.page_token) == ("news", "", "t")
    document = json.loads(run("workers", "list", "--json").stdout.splitlines()[0])
    assert document["leases"][0]["job_id"] == "j"


def test_workers_are_drained(peer: Peer, run: Run) -> None:
    peer.answer("DrainWorker", pb.DrainWorkerResponse())
    result = run("workers", "drain", "a", "b", "--reason", "why")
    assert (result.exit_code, result.stdout) == (0, "a drains\nb drains\n")
    assert peer.requests("DrainWorker") == [
        pb.DrainWorkerRequest(worker_id=worker_id, reason="why") for worker_id in ("a", "b")
    ]


def test_options_may_stand_before_the_group(peer: Peer, run: Run) -> None:
    peer.answer("GetQueueStats", pb.GetQueueStatsResponse(stats=[STATS]))
    assert json.loads(run("--json", "queues", "list").stdout)["queue"] == "news"


def test_tables_fit_80_columns() -> None:
    long = pb.Worker()
    long.CopyFrom(WORKER)
    long.info.worker_id, long.server_id = "w" * 100, "s" * 60
    long.queues.extend(["q" * 63] * 5)
    wide = pb.QueueStats()
    wide.CopyFrom(STATS)
    wide.queue, wide.ready_count, wide.scheduled_count = "q" * 63, 123_456_789, 123_456_789
    console = Console(file=StringIO(), width=80, force_terminal=False)
    print_workers([read_worker(long)], console)
    print_queues([read_stats(wide)], console)
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert "123,456,789" in lines[3]
    assert "s…" in lines[1]
