"""ExtendLeases: more time and progress for the holder of the current lease, and for nobody else."""

from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as job_service
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import WORKER, lease_all, lease_one, release, report, success

_LEFT = "SELECT extract(epoch FROM until - clock_timestamp())::float8 FROM lease"


async def extend(
    workers: WorkerServiceStub, *extensions: pb.LeaseExtension, worker_id: str = WORKER
) -> list[pb.LeaseStatus]:
    request = pb.ExtendLeasesRequest(worker_id=worker_id, extensions=extensions)
    return list((await workers.ExtendLeases(request)).leases)


def _seconds(status: pb.LeaseStatus) -> float:
    return status.expires_in.seconds + status.expires_in.nanos / 1e9


async def test_extension_lasts_as_the_lease_does_or_as_asked(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create()
    lease = await lease_one(workers, lease_duration=Duration(seconds=40))
    await sql.execute("UPDATE lease SET until = clock_timestamp() + interval '7 seconds'")
    for asked, seconds in ((None, 40), (Duration(seconds=3600), 900), (Duration(seconds=5), 5)):
        extension = pb.LeaseExtension(lease_id=lease.lease_id, duration=asked)
        (status,) = await extend(workers, extension)
        assert status.state == pb.LEASE_STATE_HELD
        # Never past the end of the attempt's own time, 15 minutes.
        assert _seconds(status) == pytest.approx(seconds, abs=2)
        assert await sql.fetchval(_LEFT) == pytest.approx(seconds, abs=3)


async def test_progress_reaches_the_status_and_stays_until_the_next(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    lease = await lease_one(workers)
    seen = []
    for progress in (job_pb2.JobProgress(percent=40, message="half"), None, job_pb2.JobProgress()):
        await extend(workers, pb.LeaseExtension(lease_id=lease.lease_id, progress=progress))
        status = (await jobs.GetJob(job_service.GetJobRequest(job_id=job.id))).job.status
        seen.append((status.version, status.progress.percent, status.progress.message))
    assert seen == [(3, 40, "half"), (3, 40, "half"), (4, 0, "")]


async def test_requested_cancel_is_told(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create()
    lease = await lease_one(workers)
    await sql.execute("UPDATE lease SET cancel_request_time = now(), cancel_reason = 'why'")
    (status,) = await extend(workers, pb.LeaseExtension(lease_id=lease.lease_id))
    assert (status.state, status.reason) == (pb.LEASE_STATE_CANCEL_REQUESTED, "why")
    assert status.HasField("expires_in")


async def test_each_lease_is_answered_on_its_own_and_in_order(
    create: Create, workers: WorkerServiceStub
) -> None:
    for _ in range(3):
        await create()
    ended, held, _ = await lease_all(workers)
    await report(workers, success(ended))
    job_id, number = held.lease_id.split(".")
    texts = [
        ended.lease_id,
        held.lease_id,
        f"{job_id}.{int(number) + 1}",
        f"{job_id}.{int(number) - 1}",
        f"{uuid4()}.{number}",
        f"{job_id}.{'9' * 80}",
        f"{held.lease_id} ",
        f"{job_id}.+{number}",
        "'; DROP TABLE lease; --",
        held.lease_id,
    ]
    found = await extend(workers, *(pb.LeaseExtension(lease_id=text) for text in texts))
    assert [status.lease_id for status in found] == texts
    states = [status.state == pb.LEASE_STATE_HELD for status in found]
    assert states == [text == held.lease_id for text in texts]
    lost = [status for status in found if status.state != pb.LEASE_STATE_HELD]
    assert {(s.state, s.HasField("expires_in")) for s in lost} == {(pb.LEASE_STATE_LOST, False)}


async def test_foreign_lease_is_lost_to_another_worker(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    lease = await lease_one(workers)
    before = await tables()
    extension = pb.LeaseExtension(lease_id=lease.lease_id, progress=job_pb2.JobProgress(percent=9))
    (status,) = await extend(workers, extension, worker_id="w2")
    assert status.state == pb.LEASE_STATE_LOST
    assert await tables() == before


async def test_stale_lease_extends_nothing(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    stale = await lease_one(workers)
    await report(workers, release(stale))
    await lease_one(workers)
    before = await tables()
    extension = pb.LeaseExtension(lease_id=stale.lease_id, progress=job_pb2.JobProgress(percent=9))
    (status,) = await extend(workers, extension)
    assert status.state == pb.LEASE_STATE_LOST
    assert await tables() == before


def _extension(**fields: Any) -> list[pb.LeaseExtension]:
    return [pb.LeaseExtension(lease_id="ok"), pb.LeaseExtension(**({"lease_id": "ok"} | fields))]


_BAD: list[tuple[list[pb.LeaseExtension], str]] = [
    ([], "extensions"),
    ([pb.LeaseExtension(lease_id="x")] * 1001, "extensions"),
    (_extension(lease_id=""), "extensions[1].lease_id"),
    (_extension(lease_id="x" * 129), "extensions[1].lease_id"),
    (_extension(duration=Duration(seconds=4)), "extensions[1].duration"),
    (_extension(duration=Duration(seconds=3601)), "extensions[1].duration"),
    (_extension(progress=job_pb2.JobProgress(percent=-1)), "extensions[1].progress.percent"),
    (_extension(progress=job_pb2.JobProgress(percent=101)), "extensions[1].progress.percent"),
    (
        _extension(progress=job_pb2.JobProgress(message="m" * 501)),
        "extensions[1].progress.message",
    ),
]


@pytest.mark.parametrize(
    ("extensions", "path"), _BAD, ids=[f"{n}-{p}" for n, (_, p) in enumerate(_BAD)]
)
async def test_broken_rule_extends_nothing(
    create: Create,
    workers: WorkerServiceStub,
    tables: Tables,
    extensions: list[pb.LeaseExtension],
    path: str,
) -> None:
    await create()
    lease = await lease_one(workers)
    if extensions:
        extensions[0].lease_id = lease.lease_id
    before = await tables()
    refusal = await refused(extend(workers, *extensions))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == [path]
    assert await tables() == before


async def test_1000_extensions_are_taken_at_once(
    create: Create, workers: WorkerServiceStub
) -> None:
    await create()
    lease = await lease_one(workers)
    found = await extend(workers, *[pb.LeaseExtension(lease_id=lease.lease_id)] * 1000)
    assert {status.state for status in found} == {pb.LEASE_STATE_HELD}
