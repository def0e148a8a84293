"""A worker made of nothing but the contract: grpcurl, reflection and JSON."""

import asyncio
import json
import shutil
import time
from typing import Any

import pytest

from tests.e2e.support.history import Report, Run
from tests.e2e.support.stage import Stage

GRPCURL = shutil.which("grpcurl")
pytestmark = pytest.mark.skipif(
    GRPCURL is None,
    reason="no grpcurl: make grpcurl",
)


async def grpcurl(target: str, method: str, message: dict[str, Any]) -> dict[str, Any]:
    """Makes a unary call; fields are spelled as in the .proto."""
    assert GRPCURL is not None
    process = await asyncio.create_subprocess_exec(
        GRPCURL,
        *("-plaintext", "-d", json.dumps(message), target, f"jobsvc.v1.{method}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    answer: dict[str, Any] = json.loads(stdout)
    return answer


async def test_worker_of_unary_calls_runs_a_job(stage: Stage) -> None:
    server = await stage.serve()
    target = server.target
    worker = {"worker_id": "by-hand/1", "sdk": "grpcurl"}
    async with stage.calls(target) as caller:
        await grpcurl(
            target, "QueueService/UpdateQueue", {"queue": {"name": "sum"}, "allow_missing": True}
        )
        job_id = await caller.create("sum", {"terms": [19, 23]})
        lease_jobs = {"worker": worker, "queues": ["sum"], "wait": "5s", "lease_duration": "30s"}
        (lease,) = (await grpcurl(target, "WorkerService/LeaseJobs", lease_jobs))["leases"]
        stage.history.note(Run(job_id=job_id, attempt=1, run="by-hand", time=time.time()))
        assert (lease["job_id"], lease["attempt"]) == (job_id, 1)
        terms = lease["input"]["json"]["terms"]

        extend = {
            "worker_id": "by-hand/1",
            "extensions": [{"lease_id": lease["lease_id"], "progress": {"percent": 60}}],
        }
        (status,) = (await grpcurl(target, "WorkerService/ExtendLeases", extend))["leases"]
        assert status["state"] == "LEASE_STATE_HELD"
        assert float(status["expires_in"].removesuffix("s")) <= 30

        output = {"json": {"sum": sum(terms), "run": "by-hand"}}
        outcome = {"lease_id": lease["lease_id"], "success": {"output": output}}
        report = {"worker_id": "by-hand/1", "outcomes": [outcome]}
        (result,) = (await grpcurl(target, "WorkerService/ReportOutcomes", report))["results"]
        assert result.get("status", {}) == {}
        number = int(lease["lease_id"].rpartition(".")[2])
        stage.history.note(Report(job_id=job_id, lease_id=number, result="ok"))
        await caller.follow([job_id])
        assert caller.output(job_id)["sum"] == 42
        jobs = await stage.check(caller, [job_id])
        assert jobs[job_id].status.progress_percent == 60

        outcome["lease_id"] = lease["lease_id"].rpartition(".")[0] + ".999999"
        (refused,) = (await grpcurl(target, "WorkerService/ReportOutcomes", report))["results"]
        assert refused["status"]["code"] == 9
        assert refused["status"]["details"][0]["reason"] == "LEASE_LOST"
