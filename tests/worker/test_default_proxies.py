"""Workers whose outputs are more than a proxy lets through in one call."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.worker import Context, Processor, Worker, processor
from tests.support.real_proxies import KINDS, real_proxy
from tests.worker.support.callers import Caller

pytestmark = pytest.mark.timeout(60)

JOBS = 16
OUTPUT_CHARACTERS = 240_000
#: Far more than it takes, and far less than it took.
SECONDS = 15
_NGINX = """
server {
    listen 0.0.0.0:50050 http2;
    client_max_body_size SIZE;
    location / { grpc_pass grpc://127.0.0.1:50051; }
}
"""


def writer(runs: Counter[str]) -> Processor[..., object]:
    """A processor whose outputs have as many characters as its input says; it counts its runs."""

    @processor("q")
    async def write(value: dict[str, Any], context: Context) -> dict[str, Any]:
        runs[context.job_id] += 1
        return {"text": "x" * value["characters"]}

    return write


async def outputs_arrive(target: str, channel: aio.Channel, sizes: list[int]) -> None:
    """Runs a worker at `target` until it has written outputs of these sizes, each once."""
    caller, runs = Caller(channel), Counter[str]()
    async with Worker([writer(runs)], target=target, grace_seconds=0) as worker:
        await worker.wait_subscribed()
        ids = [await caller.create(text=f'{{"characters":{size}}}') for size in sizes]
        async with asyncio.timeout(SECONDS):
            jobs = [await caller.end(job_id) for job_id in ids]
    for job, size in zip(jobs, sizes, strict=True):
        assert job.status.state == job_pb2.JOB_STATE_COMPLETED
        assert job.status.attempt == 1
        assert len(job.status.output.json["text"]) == size
    assert runs == Counter(ids)


@pytest.mark.parametrize("kind", KINDS)
async def test_outputs_pass_a_proxy_as_it_is_installed(
    kind: str,
    server: Replica,
    channel: aio.Channel,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with real_proxy(kind, f"127.0.0.1:{server.port}", tmp_path) as target:
        await outputs_arrive(target, channel, [OUTPUT_CHARACTERS] * JOBS)
    warnings = [
        (record.name, record.getMessage())
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith(("jobsvc.w", "jobsvc.d"))
    ]
    if kind == "nginx":
        # Of the one stream that broke.
        (worker_line,) = [text for name, text in warnings if name == "jobsvc.worker"]
        assert "1,000,000 bytes a stream" in worker_line
        assert "nginx: client_max_body_size" in worker_line
        assert len([text for _, text in warnings if "is lost" in text]) <= 1
        assert len(warnings) <= 2
    else:
        assert warnings == []


async def test_outputs_pass_one_by_one_where_only_one_fits(
    server: Replica, channel: aio.Channel, tmp_path: Path
) -> None:
    one = _NGINX.replace("SIZE", "300k")
    with real_proxy("nginx", f"127.0.0.1:{server.port}", tmp_path, one) as target:
        await outputs_arrive(target, channel, [OUTPUT_CHARACTERS] * JOBS)


async def test_output_that_never_passes_does_not_hold_up_the_others(
    server: Replica, channel: aio.Channel, tmp_path: Path
) -> None:
    caller, runs = Caller(channel), Counter[str]()
    small = _NGINX.replace("SIZE", "200k")
    with real_proxy("nginx", f"127.0.0.1:{server.port}", tmp_path, small) as target:
        async with Worker([writer(runs)], target=target, grace_seconds=0) as worker:
            await worker.wait_subscribed()
            large = await caller.create(text=f'{{"characters":{OUTPUT_CHARACTERS}}}')
            ids = [await caller.create(text='{"characters":10}') for _ in range(JOBS)]
            async with asyncio.timeout(SECONDS):
                jobs = [await caller.end(job_id) for job_id in ids]
            assert {job.status.state for job in jobs} == {job_pb2.JOB_STATE_COMPLETED}
            assert runs[large] == 1
