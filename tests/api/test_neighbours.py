"""One item that cannot be checked or written never costs the others of its call their answers."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.payload_pb2 import PayloadSchema
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, lease_all, report, success

_DEFECT = ("INTERNAL", "INTERNAL_ERROR")


async def test_output_whose_schema_cannot_be_read_costs_no_other_its_answer(
    create: Create,
    declare: Callable[..., Awaitable[Any]],
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
) -> None:
    await declare("strict", output_schema=PayloadSchema(json_schema_text='{"required": ["a"]}'))
    for queue in ("strict", "q", "strict", "q"):
        await create(queue=queue)
    leases = await lease_all(workers, queues=["q", "strict"])
    outcomes = [success(lease, '{"a": 1}') for lease in leases]
    await sql.execute("DELETE FROM payload_schema")
    expected = [_DEFECT if lease.queue == "strict" else OK for lease in leases]
    assert await report(workers, *outcomes) == expected
    assert await report(workers, *outcomes) == expected


@pytest.mark.parametrize("way", ["outcome", "extension"])
async def test_progress_that_the_database_refuses_costs_no_lease_its_answer(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection, way: str
) -> None:
    for table in ("lease", "result"):
        await sql.execute(f"ALTER TABLE {table} ADD CHECK (progress_message <> 'odd')")
    for _ in range(3):
        await create()
    leases = await lease_all(workers)
    progress = [job_pb2.JobProgress(percent=1, message=text) for text in ("a", "odd", "b")]
    if way == "outcome":
        outcomes = [success(lease) for lease in leases]
        for outcome, item in zip(outcomes, progress, strict=True):
            outcome.progress.CopyFrom(item)
        assert await report(workers, *outcomes) == [OK, OK, OK]
        assert await sql.fetchval("SELECT count(*) FROM result WHERE state = 3") == 3
        return
    request = pb.ExtendLeasesRequest(
        extensions=[
            pb.LeaseExtension(lease_id=lease.lease_id, progress=item)
            for lease, item in zip(leases, progress, strict=True)
        ]
    )
    answered = (await workers.ExtendLeases(request)).leases
    assert [s.lease_id for s in answered] == [lease.lease_id for lease in leases]
    assert {s.state for s in answered} == {pb.LEASE_STATE_HELD}
