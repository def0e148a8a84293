"""Nothing but the contract: grpcurl, reflection and JSON. Each call of docs/reference/calls.md, and
a worker."""

import asyncio
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor

from jobsvc.domain.methods import METHODS, Method
from jobsvc.v1 import (
    externalscaler_pb2,
    job_service_pb2,
    queue_service_pb2,
    worker_service_pb2,
)
from tests.e2e.support.history import Report, Run
from tests.e2e.support.stage import Stage

GRPCURL = shutil.which("grpcurl")
needs_grpcurl = pytest.mark.skipif(GRPCURL is None, reason="no grpcurl: make grpcurl")

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGE = (REFERENCE / "calls.md").read_text()
#: Heading, facts, line and what follows of each call of the page.
CALLS = re.findall(
    r"^### (\w+\.\w+)\n\n(.*)\n\n```sh\n((?:.*\n)+?)```\n((?:(?!#).*\n)*)", PAGE, re.MULTILINE
)
METHODS_OF_CONTRACT: dict[str, MethodDescriptor] = {
    f"{service.full_name}/{method.name}": method
    for file in (job_service_pb2, worker_service_pb2, queue_service_pb2, externalscaler_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
#: grpcurl's exit code for DeadlineExceeded.
TIME_OVER = 64 + 4


def facts(method: Method) -> str:
    """Errors and metadata of a method, as the page has them."""
    name = method.full_name.rpartition(".")[2].replace("/", ".")
    rows = re.findall(r"^\| (\w+\.\w+) \|(.*)\|$", (REFERENCE / "errors.md").read_text(), re.M)
    errors = {*re.findall("`(.*?)`", dict(rows).get(name, "")), *_errors_by_fields(method)}
    metadata = ["authorization", "traceparent"]
    if method.reads_caller:
        metadata += ["x-session-id", "x-user-id"]
    told = ", ".join(f"`{reason}`" for reason in sorted(errors)) or "none of its own"
    return f"Errors: {told}. Metadata: {', '.join(f'`{key}`' for key in metadata)}."


def _errors_by_fields(method: Method) -> set[str]:
    """The errors that errors.md tells for all methods with such a field, and for streams; and
    scaling.md for the scaler."""
    descriptor = METHODS_OF_CONTRACT[method.full_name]
    fields = set(descriptor.input_type.fields_by_name)
    errors = set()
    if method.service.endswith(".JobService"):
        if {"job_id", "job_ids"} & fields:
            errors |= {"JOB_NOT_FOUND", "JOB_NOT_OWNED"}
        if descriptor.server_streaming:
            errors.add("STREAM_LIMIT")
    if method.service.endswith(".ExternalScaler") and method.name != "GetMetricSpec":
        errors.add("QUEUE_NOT_FOUND")
    if method.service.endswith(".QueueService"):
        named = ("UpdateQueue", "GetQueueHistory", "ListWorkers")
        if {"name", "queues"} & fields or method.name in named:
            errors.add("QUEUE_NOT_FOUND")
        if "etag" in fields or method.name == "UpdateQueue":
            errors.add("ETAG_MISMATCH")
    return errors


def test_page_has_every_call_with_its_errors_and_its_metadata() -> None:
    pages = {name: told for name, told, _, _ in CALLS}
    assert len(pages) == len(CALLS) == len(re.findall("^### ", PAGE, re.MULTILINE))
    assert pages == {
        method.full_name.removeprefix("jobsvc.v1.")
        .removeprefix("externalscaler.")
        .replace("/", "."): facts(method)
        for method in METHODS
    }


@needs_grpcurl
async def test_lines_of_the_page_run_one_after_the_other(stage: Stage) -> None:
    server = await stage.serve()
    variables: dict[str, str] = {}

    async def run(line: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "/bin/bash",
            "-c",
            line.replace("127.0.0.1:50051", server.target),
            env={"PATH": str(Path(str(GRPCURL)).parent), **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        expected = TIME_OVER if "-max-time" in line else 0
        assert process.returncode == expected, (line, stderr.decode())
        assert stdout.strip(), line
        return stdout

    for name, _, line, after in CALLS:
        assert line.split()[-1].endswith(name.replace(".", "/")), line
        answer = await run(line)
        if name == "QueueService.ListWorkers":
            # Later lines are about this worker.
            while b"by-hand/1" not in answer:
                answer = await run(line)
        for variable, path in re.findall(r"`([A-Z]+)` is `([\w.]+)` of the answer", after):
            found = json.loads(answer)
            for step in path.split("."):
                found = found[int(step)] if step.isdigit() else found[step]
            variables[variable] = found


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


@needs_grpcurl
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
