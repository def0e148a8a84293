"""Somebody who is woken has three commands: with each fault, one of them names it and says what to
do, in a terminal of 80 columns. What takes minutes to be a fault is aged."""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.alerts.support.rules import ROOT
from tests.e2e.support.command import run_in_terminal
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.looking import look_at
from tests.support.pgbouncer import pgbouncer
from tests.support.probe import eventually
from tests.support.shifted_clock import shifted_clock

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(180)]

_RUNBOOK = (ROOT / "docs/operations/runbook.md").read_text(encoding="utf-8")
_AGED = "UPDATE jobsvc.waiting SET run_at = run_at - interval '5 min'"


async def seen(*words: str, **environment: str) -> str:
    """What a command shows, with its line breaks taken back; no line is too long."""
    _, text = await asyncio.to_thread(run_in_terminal, *words, **environment)
    long = [line for line in text.splitlines() if len(line) > 80]
    assert not long, text
    return re.sub(r"\n  +", " ", text)


async def found(dsn: str, **environment: str) -> dict[str, str]:
    """What the doctor finds, by kind; each kind is in the runbook's table, if it is of a fault."""
    text = await seen("doctor", JOBSVC_DSN=dsn, **environment)
    return {kind: line for line, kind in re.findall(r"^(\w+: .+) \[(\w+)\]$", text, re.MULTILINE)}


def in_runbook(kind: str) -> bool:
    """Whether the table at the top of the runbook leads on from a kind."""
    table = _RUNBOOK.split("## Work")[0]
    return any(f"`{kind}`" in line for line in table.splitlines() if line.startswith("| "))


async def test_queue_without_a_worker(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("nobody")
        job = await caller.client.create("nobody")
    await fetch(stage.dsn, _AGED)
    line = (await found(stage.dsn))["queue_without_worker"]
    assert "start one (`jobsvc work MODULE`)" in line
    assert re.search(r"\(nobody: 1 ready, the oldest for 3\d\d s\)", line)
    listed = await seen("queues", "list", JOBSVC_TARGET=server.target)
    assert re.search(r"^nobody +active +1 +0 +0 +5m +0 *$", listed, re.MULTILINE), listed
    told = await seen("get", job.id, JOBSVC_TARGET=server.target)
    assert "no worker is subscribed to its queue" in told
    assert in_runbook("queue_without_worker")


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_worker_that_is_dead(stage: Stage, how: str) -> None:
    server = await stage.serve(acknowledge_seconds=1, reconnect_seconds=1)
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("nap", {"seconds": 600})
        await eventually(lambda: stage.history.runs(job_id), seconds=60)
        worker.kill() if how == "killed" else worker.freeze()

        async def is_rescued() -> bool:
            return (await caller.client.get(job_id)).status.attempt == 1 and bool(
                await fetch(stage.dsn, "SELECT FROM jobsvc.waiting WHERE job_id = $1", job_id)
            )

        await eventually(is_rescued, seconds=60, what="the rescue")

    async def unseen() -> str:
        # A minute later: nobody has seen it since, and the job has been ready for so long.
        await fetch(stage.dsn, "UPDATE jobsvc.worker SET last_seen = last_seen - interval '2 min'")
        await fetch(stage.dsn, _AGED)
        return (await found(stage.dsn)).get("queue_without_worker", "")

    # A frozen one is lost when it has not taken the job again.
    assert "nap: 1 ready" in await eventually(unseen, seconds=90, what="the worker is missed")
    told = await seen("get", job_id, JOBSVC_TARGET=server.target)
    assert "LEASE_EXPIRED" in told, told
    assert in_runbook("LEASE_EXPIRED")


async def test_queue_that_is_paused(stage: Stage) -> None:
    server = await stage.serve()
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        await caller.client.pause_queue("greet", reason="the mail server is down")
        job = await caller.client.create("greet", {"name": "Ada"})
    line = (await found(stage.dsn))["queue_paused"]
    assert "`jobsvc queues resume QUEUE` lets them run (greet: 1 ready" in line
    shown = await seen("queues", "show", "greet", JOBSVC_TARGET=server.target)
    assert "the mail server is down" in shown
    assert "its queue is paused" in await seen("get", job.id, JOBSVC_TARGET=server.target)
    assert in_runbook("queue_paused")


async def test_queue_that_is_full(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("small", max_waiting=2)
        assert "queue_full" not in await found(stage.dsn)
        for _ in range(2):
            await caller.client.create("small")
    line = (await found(stage.dsn))["queue_full"]
    assert "start more workers, or raise max_waiting" in line
    assert line.endswith("(small: 2 of 2)")
    shown = await seen("queues", "show", "small", JOBSVC_TARGET=server.target)
    assert "may wait        2 (full: creations are refused)\n" in shown
    assert in_runbook("queue_full")


async def test_transaction_that_is_held_open(stage: Stage) -> None:
    await stage.serve()
    holder = await look_at(stage.dsn)
    try:
        await holder.execute("SET application_name = 'monthly report'")
        await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM lease LIMIT 1")
        churn = await look_at(stage.dsn)
        await churn.execute(
            "ALTER TABLE lease SET (autovacuum_enabled = off); BEGIN;"
            "INSERT INTO lease (job_id, lease_id, queue, rank, attempt, redeliveries, version,"
            " update_time, keyed, worker_id, start_time, duration, until, deadline)"
            " SELECT gen_random_uuid(), n, 'q', 0, 1, 0, 2, now(), false, 'w', now(), 30, now(),"
            " now() FROM generate_series(1, 25000) AS n; DELETE FROM lease; COMMIT"
        )
        await churn.close()  # So that the dead rows are counted.
        pid = holder.get_server_pid()

        async def held() -> str:
            return (await found(stage.dsn)).get("horizon_held", "")

        line = await eventually(held, seconds=60, what="who holds the horizon")
        assert f"pid {pid} (monthly report" in line
        assert f"SELECT pg_terminate_backend({pid}) ends it" in line
        assert in_runbook("horizon_held")
    finally:
        await holder.close()


async def test_right_that_is_missing(stage: Stage) -> None:
    await fetch(stage.dsn, "CREATE ROLE clerk")
    dsn = f"{stage.dsn}&options=-crole%3Dclerk"
    try:
        await fetch(stage.dsn, "GRANT USAGE ON SCHEMA jobsvc TO clerk")
        await fetch(stage.dsn, "GRANT SELECT ON ALL TABLES IN SCHEMA jobsvc TO clerk")
        line = (await found(dsn))["not_ready"]
        assert "wrong: the role clerk lacks the right " in line
        assert line.endswith(": `jobsvc migrate --grant clerk`, as the owner")
        assert in_runbook("not_ready")
    finally:
        await fetch(stage.dsn, "DROP OWNED BY clerk")
        await fetch(stage.dsn, "DROP ROLE clerk")


async def test_pooler_in_between(empty_dsn: str, stage: Stage) -> None:
    stage.dsn = empty_dsn
    await stage.serve()
    async with pgbouncer(empty_dsn, pool_mode="transaction") as bouncer:
        line = (await found(bouncer.dsn))["pooler"]
    assert "a pooler lends a session for each transaction" in line
    assert "a port of the database itself, or a pool by session" in line
    assert in_runbook("pooler")


async def test_clock_that_is_off(stage: Stage) -> None:
    with shifted_clock() as clock:
        assert "clock_differs" not in await found(stage.dsn, **clock.environment)
        clock.step(300)
        line = (await found(stage.dsn, **clock.environment))["clock_differs"]
    assert re.search("is (299|300)[.]. s ahead of the database's", line), line
    assert "set up NTP" in line
    assert in_runbook("clock_differs")


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Path]:
    """A small file system, on which the server keeps its PostgreSQL."""
    stage.data_dir.mkdir()
    options = "size=320m,mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "jobsvc-test", str(stage.data_dir)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"a small file system takes root: {done.stderr.strip()}")
    yield stage.data_dir
    subprocess.run(["umount", "--lazy", stage.data_dir], check=True)


@asynccontextmanager
async def filled(disk: Path) -> AsyncIterator[None]:
    """The disk, with hardly any room left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 << 10))
        except OSError:
            file.truncate(file.tell() - (4 << 20))
    yield
    filler.unlink()


async def test_disk_that_is_full(stage: Stage, small_disk: Path) -> None:
    await stage.serve(embedded=True)
    assert "disk_low" not in await found(stage.embedded_dsn)
    async with filled(small_disk):
        line = (await found(stage.embedded_dsn))["disk_low"]
    assert re.search(r"wrong: the disk of \S+/pgdata has \d MiB left", line), line
    assert "make room" in line
    assert in_runbook("disk_low")


async def test_database_that_is_away(stage: Stage) -> None:
    text = await seen("doctor", JOBSVC_DSN="postgresql://127.0.0.1:1/nothing")
    assert "no database listens at" in text
