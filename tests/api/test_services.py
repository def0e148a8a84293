"""What services learn of each other, and what a role shows of a job."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2
from grpc import aio

from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_service
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.identities import Metadata, authenticating, bearer
from tests.api.support.refusal import refused
from tests.api.support.worker import failure, success
from tests.support.issuer import Issuer
from tests.support.probe import eventually
from tests.support.stream_write import write

REQUEST_ID = "018f4e7a-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return authenticating(settings, tmp_path, issuer)


class Service:
    """A service and its calls."""

    def __init__(self, channel: aio.Channel, issuer: Issuer, name: str, *roles: str) -> None:
        self.jobs = JobServiceStub(channel)
        self.workers = WorkerServiceStub(channel)
        self.queues = QueueServiceStub(channel)
        self.metadata: Metadata = bearer(issuer.token(name, roles))

    async def create(
        self, *more: tuple[str, str], request_id: str = "", **spec: Any
    ) -> job_pb2.Job:
        request = pb.CreateJobRequest(
            spec=job_pb2.JobSpec(queue="q", **spec), request_id=request_id
        )
        return (await self.jobs.CreateJob(request, metadata=(*self.metadata, *more))).job

    async def get(self, job_id: str, *more: tuple[str, str], full: bool = False) -> job_pb2.Job:
        view = job_pb2.JOB_VIEW_FULL if full else job_pb2.JOB_VIEW_BASIC
        request = pb.GetJobRequest(job_id=job_id, view=view)
        return (await self.jobs.GetJob(request, metadata=(*self.metadata, *more))).job


@pytest.fixture
async def shop(channel: aio.Channel, issuer: Issuer) -> Service:
    """A service with the queue `q`."""
    made = Service(
        channel, issuer, "shop", "jobs.creator", "payloads.viewer", "queues.admin", "jobs.worker"
    )
    queue = queue_service.Queue(name="q")
    declare = queue_service.UpdateQueueRequest(queue=queue, allow_missing=True)
    await made.queues.UpdateQueue(declare, metadata=made.metadata)
    return made


@pytest.fixture
def bank(channel: aio.Channel, issuer: Issuer, shop: Service) -> Service:
    """Another service."""
    return Service(channel, issuer, "bank", "jobs.creator", "payloads.viewer")


@pytest.mark.parametrize("on_conflict", job_pb2.UniqueConflictPolicy.values())
async def test_unique_key_of_another_service_is_taken_and_says_no_more(
    shop: Service, bank: Service, on_conflict: int
) -> None:
    held = await shop.create(unique_key="k", request_id=REQUEST_ID)
    for request_id in ("", REQUEST_ID):
        refusal = await refused(
            bank.create(unique_key="k", unique_conflict_policy=on_conflict, request_id=request_id)
        )
        assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN")
        assert held.id not in str(refusal)
    # Without a key, the same request id is another one in another service.
    assert (await bank.create(request_id=REQUEST_ID)).id != held.id


async def test_retry_does_not_name_the_job_of_another_service(shop: Service, bank: Service) -> None:
    mine = await bank.create(unique_key="k")
    await bank.jobs.CancelJob(pb.CancelJobRequest(job_id=mine.id), metadata=bank.metadata)
    held = await shop.create(unique_key="k")
    refusal = await refused(
        bank.jobs.RetryJob(pb.RetryJobRequest(job_id=mine.id), metadata=bank.metadata)
    )
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN")
    assert held.id not in str(refusal)


async def test_session_and_user_count_within_their_service_only(
    shop: Service, bank: Service, channel: aio.Channel, issuer: Issuer
) -> None:
    who = ("x-user-id", "ada"), ("x-session-id", "s")
    job = await shop.create(*who)
    assert (await shop.get(job.id, *who)).owner.service == "jwt:shop"
    for caller, metadata in ((bank, who), (shop, ()), (shop, (("x-user-id", "bob"),))):
        refusal = await refused(caller.get(job.id, *metadata))
        assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
    admin = Service(channel, issuer, "root", "jobs.admin")
    assert (await admin.get(job.id, full=True)).id == job.id


async def test_viewer_sees_no_payloads_and_no_metadata_of_errors(
    shop: Service, channel: aio.Channel, issuer: Issuer
) -> None:
    job = await shop.create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    lease = worker_pb.LeaseJobsRequest(
        worker=worker_pb.WorkerInfo(worker_id="w"), queues=["q"], max_jobs=1
    )
    (held,) = (await shop.workers.LeaseJobs(lease, metadata=shop.metadata)).leases
    failed = failure(held, code_pb2.INTERNAL, retryable=False, metadata={"card": "4711"})
    report = worker_pb.ReportOutcomesRequest(outcomes=[failed])
    await shop.workers.ReportOutcomes(report, metadata=shop.metadata)
    assert (await shop.get(job.id)).status.error.metadata == {"card": "4711"}
    viewer = Service(channel, issuer, "shop", "jobs.viewer")
    seen = await viewer.get(job.id)
    assert seen.status.error.code == code_pb2.INTERNAL
    assert "4711" not in str(seen)
    for call in (
        viewer.get(job.id, full=True),
        viewer.jobs.GetJob(pb.GetJobRequest(job_id=job.id), metadata=viewer.metadata),
        viewer.jobs.WaitJob(pb.WaitJobRequest(job_id=job.id), metadata=viewer.metadata),
        viewer.jobs.ListJobs(
            pb.ListJobsRequest(view=job_pb2.JOB_VIEW_FULL), metadata=viewer.metadata
        ),
        viewer.jobs.StreamJobStatus(
            pb.StreamJobStatusRequest(job_ids=[job.id]), metadata=viewer.metadata
        ).read(),
    ):
        refusal = await refused(call)
        assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")
        assert refusal.metadata["roles"] == "payloads.viewer"


async def followed(service: Service) -> Any:
    """Creates a job on a Submit stream and follows it; the first news of its status, or why there
    is none."""
    call = service.jobs.Submit(metadata=service.metadata)
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"), request_id=REQUEST_ID)
    await write(call, pb.SubmitRequest(jobs=[pb.SubmitJob(tag=1, request=request)]))
    job_id = ""
    while not job_id:
        for result in (await call.read()).results:
            job_id = result.created.job.id
    await write(call, pb.SubmitRequest(follow_job_ids=[job_id]))
    while True:
        frame = await call.read()
        for news in (*frame.updates, *frame.follow_failures):
            call.cancel()
            return news


@pytest.mark.parametrize(
    ("roles", "shows_output"), [(("jobs.viewer",), False), (("payloads.viewer",), True)]
)
async def test_stream_of_creations_shows_what_the_roles_allow(
    shop: Service, channel: aio.Channel, issuer: Issuer, roles: tuple[str, ...], shows_output: bool
) -> None:
    # A job that has ended, with an output, is found by its request id.
    job = await shop.create(request_id=REQUEST_ID)
    lease = worker_pb.LeaseJobsRequest(
        worker=worker_pb.WorkerInfo(worker_id="w"), queues=["q"], max_jobs=1
    )
    (held,) = (await shop.workers.LeaseJobs(lease, metadata=shop.metadata)).leases
    report = worker_pb.ReportOutcomesRequest(outcomes=[success(held, '{"card": "4711"}')])
    await shop.workers.ReportOutcomes(report, metadata=shop.metadata)
    news = await followed(Service(channel, issuer, "shop", "jobs.creator", *roles))
    assert (news.job_id, news.status.state) == (job.id, job_pb2.JOB_STATE_COMPLETED)
    assert ("4711" in str(news)) is shows_output


async def test_stream_of_creations_follows_nothing_for_who_may_only_create(
    shop: Service, channel: aio.Channel, issuer: Issuer
) -> None:
    news = await followed(Service(channel, issuer, "shop", "jobs.creator"))
    assert news.error.code == code_pb2.PERMISSION_DENIED
    assert "jobs.viewer" in news.error.message


async def test_stream_of_creations_acts_within_its_own_service(
    shop: Service, bank: Service
) -> None:
    call = bank.jobs.Submit(metadata=bank.metadata)
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"), request_id=REQUEST_ID)
    job = pb.SubmitJob(tag=1, request=request, user_id="ada")
    await write(call, pb.SubmitRequest(jobs=[job]))
    frame = await call.read()
    while not frame.results:
        frame = await call.read()
    made = frame.results[0].created.job
    call.cancel()
    assert (await bank.get(made.id, ("x-user-id", "ada"))).owner.service == "jwt:bank"
    refusal = await refused(shop.get(made.id, ("x-user-id", "ada")))
    assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")


async def test_watchers_see_what_their_own_roles_allow(
    shop: Service, bank: Service, channel: aio.Channel, issuer: Issuer
) -> None:
    viewer = Service(channel, issuer, "shop", "jobs.viewer")
    watches = {
        name: service.jobs.WatchJobs(pb.WatchJobsRequest(), metadata=service.metadata)
        for name, service in {"shop": shop, "viewer": viewer, "bank": bank}.items()
    }
    for watch in watches.values():
        while not (await watch.read()).HasField("synced"):
            pass
    job = await shop.create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    lease = worker_pb.LeaseJobsRequest(
        worker=worker_pb.WorkerInfo(worker_id="w"), queues=["q"], max_jobs=1
    )
    (held,) = (await shop.workers.LeaseJobs(lease, metadata=shop.metadata)).leases
    failed = failure(held, code_pb2.INTERNAL, retryable=False, metadata={"card": "4711"})
    report = worker_pb.ReportOutcomesRequest(outcomes=[failed])
    await shop.workers.ReportOutcomes(report, metadata=shop.metadata)
    own = await bank.create()

    async def until(watch: Any, job_id: str, state: int) -> str:
        """All that comes, up to the update of a job in a state."""
        seen = ""
        while True:
            response = await watch.read()
            seen += str(response)
            update = response.update
            if update.job_id == job_id and update.status.state == state:
                return seen

    ended = job_pb2.JOB_STATE_FAILED
    assert "4711" in await until(watches["shop"], job.id, ended)
    assert "4711" not in await until(watches["viewer"], job.id, ended)
    assert job.id not in await until(watches["bank"], own.id, job_pb2.JOB_STATE_PENDING)
    for watch in watches.values():
        watch.cancel()


async def test_bulk_operations_touch_and_show_their_own_service_only(
    shop: Service, bank: Service, channel: aio.Channel, issuer: Issuer
) -> None:
    theirs, ours = await shop.create(), await bank.create()
    request = pb.BulkJobsRequest(cancel=pb.BulkCancel(), filter=pb.JobFilter(queues=["q"]))
    started = await bank.jobs.BulkJobs(request, metadata=bank.metadata)
    wait = pb.WaitBulkOperationRequest(operation_id=started.operation.id)
    await bank.jobs.WaitBulkOperation(wait, metadata=bank.metadata)
    await eventually(
        lambda: bank.get(ours.id), lambda job: job.status.state == job_pb2.JOB_STATE_CANCELLED
    )
    assert (await shop.get(theirs.id)).status.state == job_pb2.JOB_STATE_PENDING
    get = pb.GetBulkOperationRequest(operation_id=started.operation.id)
    refusal = await refused(shop.jobs.GetBulkOperation(get, metadata=shop.metadata))
    assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "BULK_OPERATION_NOT_OWNED")
    listed = await shop.jobs.ListBulkOperations(
        pb.ListBulkOperationsRequest(), metadata=shop.metadata
    )
    assert list(listed.operations) == []
    admin = Service(channel, issuer, "root", "jobs.admin")
    listed = await admin.jobs.ListBulkOperations(
        pb.ListBulkOperationsRequest(), metadata=admin.metadata
    )
    assert len(listed.operations) == 1
