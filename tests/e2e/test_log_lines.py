"""The logs of real processes: who was lost with what, and what became of it, in both formats."""

import json
from typing import Any

from jobsvc.client import RetryPolicy
from tests.e2e.support.processes import Process
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.support.probe import eventually


def events(process: Process, event: str) -> list[dict[str, Any]]:
    """The records of an event in a log of JSON; every line must be one object."""
    lines = [json.loads(line) for line in process.stderr.splitlines(True) if line[-1] == "\n"]
    return [line for line in lines if line.get("event") == event]


async def event(process: Process, name: str, seconds: float = 15.0) -> dict[str, Any]:
    """The only record of an event, once it is there."""
    (found,) = await eventually(lambda: events(process, name), seconds=seconds, what=name)
    return found


async def test_killed_worker_is_followed_through_the_log_as_json(stage: Stage) -> None:
    server = await stage.serve(log_format="json")
    worker = await stage.work(server.target, "--version", "1.2.3")
    came = await event(server, "worker_connected")
    assert (came["worker_id"], came["version"], came["window"]) == (worker.id, "1.2.3", 8)
    assert came["sdk"].startswith("jobsvc-python/")
    assert "nap" in came["queues"]
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("nap", {"seconds": 60}, retry=RetryPolicy(max_attempts=1))
        await eventually(lambda: stage.history.runs(job_id))
        worker.kill()
        lost = await event(server, "worker_lost", seconds=2)
        assert (lost["level"], lost["worker_id"], lost["job_ids"]) == (
            "WARNING",
            worker.id,
            [job_id],
        )
        assert f"worker {worker.id} is lost" in lost["message"]
        rescued = await event(server, "jobs_rescued", LEASE_SECONDS + 5)
        assert (rescued["worker_id"], rescued["queue"], rescued["job_ids"], rescued["state"]) == (
            worker.id,
            "nap",
            [job_id],
            "FAILED",
        )
        assert lost["time"] < rescued["time"]
        assert lost["leases_end_by"][:19] <= rescued["time"][:19]
        await caller.follow([job_id])


async def test_idle_workers_that_are_killed_are_lost_as_well(stage: Stage) -> None:
    server = await stage.serve(log_level="debug")
    workers = [stage.start_worker(server.target) for _ in range(5)]
    for worker in workers:
        await worker.ready()
    for worker in workers:
        worker.kill()
    for worker in workers:
        lost = f"worker {worker.id} is lost: its stream broke off; it held no job"
        await server.says(5, f"WARNING jobsvc.dispatch.worker_log: {lost}")
    ours = [line for line in server.stderr.splitlines() if " DEBUG " in line]
    assert all(" DEBUG jobsvc." in line for line in ours)


async def test_debug_shows_what_is_decided(stage: Stage) -> None:
    server = await stage.serve(log_level="debug")
    worker = await stage.work(server.target, JOBSVC_LOG_LEVEL="debug")
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("nap")
        await caller.follow([job_id])
        await server.says(5, "DEBUG jobsvc.dispatch.claim_loop: claimed 1 of ")
        await server.says(5, f"to {worker.id}: 1 jobs")
        await server.says(5, f"1 outcomes of {worker.id}")
        await worker.says(5, "DEBUG jobsvc.worker: 1 jobs came")
        await worker.says(5, "DEBUG jobsvc.worker: sent a frame: report_outcomes")


async def test_worker_says_which_outcome_is_refused_and_what_it_means(stage: Stage) -> None:
    server = await stage.serve()
    worker = await stage.work(server.target, JOBSVC_LOG_FORMAT="json")
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("nap", {"seconds": 2}, retry=RetryPolicy(max_attempts=1))
        await eventually(lambda: stage.history.runs(job_id))
        worker.freeze()
        await caller.follow([job_id])
        worker.thaw()
        # Told, or refused, whichever comes first.
        await worker.says(5, "lease_lost")
        (told,) = [json.loads(s) for s in worker.stderr.splitlines() if "lease_lost" in s.lower()]
        assert (told["job_id"], told["queue"], told["attempt"]) == (job_id, "nap", 1)
        assert told["lease_id"].startswith(job_id)
        assert told["level"] == "WARNING"
