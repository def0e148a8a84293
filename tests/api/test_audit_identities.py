"""The audit where callers are authenticated: entries name who it was, above all of refusals."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from grpc import aio

from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2, queue_service_pb2, worker_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.identities import authenticating, bearer
from tests.api.support.refusal import refused
from tests.support.issuer import Issuer
from tests.support.probe import eventually
from tests.support.stream_write import write

_ID = "0198c5a0-0000-7000-8000-00000000dead"

Noted = Callable[[int], Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return authenticating(settings, tmp_path, issuer)


@pytest.fixture
def noted(sql: asyncpg.Connection) -> Noted:
    """Waits until there are so many entries, and returns them in their order: identity, user,
    method, target, outcome."""
    query = "SELECT identity, user_id, method, target, outcome FROM audit_entry ORDER BY id"

    async def read(count: int) -> list[tuple[Any, ...]]:
        await eventually(lambda: sql.fetch(query), lambda rows: len(rows) >= count, seconds=30)
        # The address, also where calls count for a service.
        peers = await sql.fetch("SELECT DISTINCT peer FROM audit_entry")
        assert [row["peer"] for row in peers] == ["ipv4:127.0.0.1"]
        return [tuple(row) for row in await sql.fetch(query)]

    return read


async def test_refusal_for_want_of_a_role_names_who_was_refused(
    channel: aio.Channel, issuer: Issuer, noted: Noted
) -> None:
    jobs, queues = JobServiceStub(channel), QueueServiceStub(channel)
    viewer = bearer(issuer.token("web", ("jobs.viewer",)))
    creator = bearer(issuer.token("shop", ("jobs.creator",)))
    create = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    # One that is audited, one that is not, one without an owner, and a stream.
    await refused(jobs.CancelJob(pb.CancelJobRequest(job_id=_ID), metadata=viewer))
    await refused(jobs.CreateJob(create, metadata=viewer))
    await refused(
        queues.PauseQueue(queue_service_pb2.PauseQueueRequest(name="q"), metadata=creator)
    )
    await refused(jobs.WatchJobs(pb.WatchJobsRequest(), metadata=creator).read())
    assert await noted(4) == [
        ("jwt:web", "", "CancelJob", "", "ROLE_REQUIRED"),
        ("jwt:web", "", "CreateJob", "", "ROLE_REQUIRED"),
        ("jwt:shop", "", "PauseQueue", "", "ROLE_REQUIRED"),
        ("jwt:shop", "", "WatchJobs", "", "ROLE_REQUIRED"),
    ]


async def test_refusal_by_a_handler_is_noted_once(
    channel: aio.Channel, issuer: Issuer, noted: Noted
) -> None:
    worker = bearer(issuer.token("mailer", ("jobs.worker",)))
    another = queue_service_pb2.UpdateQueueRequest(
        queue=queue_service_pb2.Queue(name="another"), allow_missing=True
    )
    lease = worker_service_pb2.LeaseJobsRequest(
        worker=worker_service_pb2.WorkerInfo(worker_id="w"), queues=["another"]
    )
    subscribe = worker_service_pb2.Subscribe(
        worker=lease.worker,
        queues=[worker_service_pb2.QueueSubscription(queue="another")],
        window=1,
    )
    await refused(QueueServiceStub(channel).UpdateQueue(another, metadata=worker))
    await refused(WorkerServiceStub(channel).LeaseJobs(lease, metadata=worker))
    work = WorkerServiceStub(channel).Work(metadata=worker)
    await write(work, worker_service_pb2.WorkRequest(subscribe=subscribe))
    await refused(work.read())
    assert await noted(3) == [
        ("jwt:mailer", "", "UpdateQueue", "", "ROLE_REQUIRED"),
        ("jwt:mailer", "", "LeaseJobs", "", "ROLE_REQUIRED"),
        ("jwt:mailer", "", "Work", "", "ROLE_REQUIRED"),
    ]


async def test_what_was_done_names_the_identity_and_the_user(
    channel: aio.Channel, issuer: Issuer, noted: Noted
) -> None:
    jobs, queues = JobServiceStub(channel), QueueServiceStub(channel)
    root = bearer(issuer.token("ops", ("queues.admin",)))
    ann = bearer(issuer.token("shop", ("jobs.creator",)), ("x-user-id", "ann"))
    await queues.CreateQueue(
        queue_service_pb2.CreateQueueRequest(queue={"name": "q"}), metadata=root
    )
    create = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    job_id = (await jobs.CreateJob(create, metadata=ann)).job.id
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=ann)
    assert await noted(2) == [
        ("jwt:ops", "", "CreateQueue", "q", "OK"),
        ("jwt:shop", "ann", "CancelJob", job_id, "OK"),
    ]


async def test_nobody_is_not_noted(channel: aio.Channel, issuer: Issuer, noted: Noted) -> None:
    jobs = JobServiceStub(channel)
    cancel = pb.CancelJobRequest(job_id=_ID)
    await refused(jobs.CancelJob(cancel))
    await refused(jobs.CancelJob(cancel, metadata=bearer(Issuer().token("web", ("jobs.admin",)))))
    await refused(jobs.CancelJob(cancel, metadata=bearer(issuer.token("web", ("jobs.creator",)))))
    assert await noted(1) == [("jwt:web", "", "CancelJob", _ID, "JOB_NOT_FOUND")]
