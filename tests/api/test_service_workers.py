"""Workers of different services: ids, leases and streams of one are of no use to another."""

from pathlib import Path

import grpc
import pytest
from grpc import aio

from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as job_service
from jobsvc.v1 import queue_service_pb2 as queue_service
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.identities import Metadata, authenticating, bearer
from tests.api.support.worker import LOST, OK, results, success
from tests.api.support.worker_stream import HandStream, subscribe
from tests.support.issuer import Issuer

ID = "host-1"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return authenticating(settings, tmp_path, issuer)


@pytest.fixture
def ours(issuer: Issuer) -> Metadata:
    return bearer(issuer.token("ours", ("jobs.worker", "jobs.creator", "jobs.viewer")))


@pytest.fixture
def theirs(issuer: Issuer) -> Metadata:
    return bearer(issuer.token("theirs", ("jobs.worker", "jobs.creator", "jobs.viewer")))


@pytest.fixture
async def job_ids(channel: aio.Channel, ours: Metadata) -> list[str]:
    """Two jobs in the queue `q`."""
    queue = queue_service.Queue(name="q")
    declare = queue_service.UpdateQueueRequest(queue=queue, allow_missing=True)
    await QueueServiceStub(channel).UpdateQueue(declare, metadata=ours)
    request = job_service.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    jobs = JobServiceStub(channel)
    return [(await jobs.CreateJob(request, metadata=ours)).job.id for _ in range(2)]


async def lease(workers: WorkerServiceStub, metadata: Metadata, most: int = 1) -> list[pb.JobLease]:
    request = pb.LeaseJobsRequest(worker=pb.WorkerInfo(worker_id=ID), queues=["q"], max_jobs=most)
    return list((await workers.LeaseJobs(request, metadata=metadata)).leases)


@pytest.mark.parametrize("worker_id", ["", ID, f"jwt:ours {ID}"])
async def test_lease_is_extended_and_ended_by_its_own_service_only(
    workers: WorkerServiceStub,
    job_ids: list[str],
    ours: Metadata,
    theirs: Metadata,
    worker_id: str,
) -> None:
    (held,) = await lease(workers, ours)
    extend = pb.ExtendLeasesRequest(
        worker_id=worker_id, extensions=[pb.LeaseExtension(lease_id=held.lease_id)]
    )
    report = pb.ReportOutcomesRequest(worker_id=worker_id, outcomes=[success(held)])
    short = pb.ReportOutcomesRequest(worker_id=worker_id, succeeded_lease_ids=[held.lease_id])
    (status,) = (await workers.ExtendLeases(extend, metadata=theirs)).leases
    assert status.state == pb.LEASE_STATE_LOST
    assert results(await workers.ReportOutcomes(report, metadata=theirs)) == [LOST]
    assert results(await workers.ReportOutcomes(short, metadata=theirs)) == [LOST]
    if worker_id.startswith("jwt:"):
        return
    (status,) = (await workers.ExtendLeases(extend, metadata=ours)).leases
    assert status.state == pb.LEASE_STATE_HELD
    assert results(await workers.ReportOutcomes(report, metadata=ours)) == [OK]
    # Repeated, the outcome is confirmed again.
    assert results(await workers.ReportOutcomes(report, metadata=ours)) == [OK]


async def test_stream_of_another_service_takes_nothing_over(
    channel: aio.Channel,
    workers: WorkerServiceStub,
    job_ids: list[str],
    ours: Metadata,
    theirs: Metadata,
) -> None:
    stream = HandStream(workers.Work(metadata=ours))
    await stream.send(subscribe=subscribe(window=1, worker_id=ID))
    token = (await stream.frame("subscribed")).resume_token
    (held,) = (await stream.frame("dispatch")).leases
    await stream.send(acknowledge=pb.Acknowledge(sequence=stream.sequence))

    thief = HandStream(workers.Work(metadata=theirs))
    await thief.send(
        subscribe=subscribe(
            window=1, worker_id=ID, resume_token=token, held_lease_ids=[held.lease_id]
        )
    )
    subscribed = await thief.frame("subscribed")
    assert [status.state for status in subscribed.held_leases] == [pb.LEASE_STATE_LOST]
    await thief.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=[success(held)]))
    frame = await thief.read()
    while frame.WhichOneof("frame") != "outcome_results":  # The other job comes, too.
        frame = await thief.read()
    assert results(frame.outcome_results) == [LOST]
    thief.call.cancel()

    # The stream lives, and its lease is good.
    await stream.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=[success(held)]))
    assert results(await stream.frame("outcome_results")) == [OK]
    stream.call.cancel()


async def test_workers_are_listed_and_shown_with_their_service(
    channel: aio.Channel, workers: WorkerServiceStub, job_ids: list[str], ours: Metadata
) -> None:
    (held,) = await lease(workers, ours)
    request = job_service.GetJobRequest(job_id=held.job_id, view=job_pb2.JOB_VIEW_BASIC)
    job = (await JobServiceStub(channel).GetJob(request, metadata=ours)).job
    assert job.status.worker_id == f"jwt:ours {ID}"
    assert job.owner.service == "jwt:ours"
    with pytest.raises(aio.AioRpcError) as refused:
        await QueueServiceStub(channel).DrainWorker(
            queue_service.DrainWorkerRequest(worker_id=job.status.worker_id), metadata=ours
        )
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
