"""Errors that a method's comment could forget: each is provoked, and told by errors.md.

`test_error_comments.py` compares that page with the comments.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grpc import aio

from jobsvc.v1 import job_service_pb2 as jobs_pb
from jobsvc.v1 import queue_service_pb2 as queues_pb
from jobsvc.v1 import worker_service_pb2 as workers_pb
from jobsvc.v1.job_pb2 import JobSpec
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.refusal import refused

_PAGE = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text()
_REQUEST_ID = "0190a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b"

Call = Callable[[aio.Channel, str], Any]


def _create(channel: aio.Channel, queue: str, session: str) -> Any:
    request = jobs_pb.CreateJobRequest(spec=JobSpec(queue=queue), request_id=_REQUEST_ID)
    return JobServiceStub(channel).CreateJob(request, metadata=(("x-session-id", session),))


def _create_batch(channel: aio.Channel, queue: str) -> Any:
    one = jobs_pb.CreateJobRequest(spec=JobSpec(queue=queue), request_id=_REQUEST_ID)
    return JobServiceStub(channel).BatchCreateJobs(jobs_pb.BatchCreateJobsRequest(requests=[one]))


def _lease(channel: aio.Channel, queue: str) -> Any:
    worker = workers_pb.WorkerInfo(worker_id="w")
    request = workers_pb.LeaseJobsRequest(worker=worker, queues=[f"{queue}-none"])
    return WorkerServiceStub(channel).LeaseJobs(request)


_TOKEN = "no token!"
CALLS: dict[tuple[str, str], Call] = {
    ("JobService.CreateJob", "JOB_NOT_OWNED"): lambda c, queue: _create(c, queue, "another"),
    ("JobService.BatchCreateJobs", "JOB_NOT_OWNED"): _create_batch,
    ("JobService.ListJobs", "PAGE_TOKEN_INVALID"): lambda c, _: JobServiceStub(c).ListJobs(
        jobs_pb.ListJobsRequest(page_token=_TOKEN)
    ),
    ("JobService.ListBulkOperations", "PAGE_TOKEN_INVALID"): lambda c, _: JobServiceStub(
        c
    ).ListBulkOperations(jobs_pb.ListBulkOperationsRequest(page_token=_TOKEN)),
    ("QueueService.ListQueues", "PAGE_TOKEN_INVALID"): lambda c, _: QueueServiceStub(c).ListQueues(
        queues_pb.ListQueuesRequest(page_token=_TOKEN)
    ),
    ("QueueService.ListWorkers", "PAGE_TOKEN_INVALID"): lambda c, _: QueueServiceStub(
        c
    ).ListWorkers(queues_pb.ListWorkersRequest(page_token=_TOKEN)),
    ("WorkerService.LeaseJobs", "QUEUE_NOT_FOUND"): _lease,
}


@pytest.mark.parametrize(("method", "reason"), CALLS)
async def test_error_that_is_provoked_is_told(
    channel: aio.Channel, queue: str, method: str, reason: str
) -> None:
    await _create(channel, queue, "one")
    refusal = await refused(CALLS[method, reason](channel, queue))
    assert refusal.reason == reason
    (told,) = re.findall(rf"^\| {re.escape(method)} \|(.*)\|$", _PAGE, re.MULTILINE)
    assert f"`{reason}`" in told
