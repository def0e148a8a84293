"""What the database cannot store is answered for good: nobody has a reason to send it again."""

import asyncpg
import pytest

from jobsvc.v1 import job_pb2
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_all, report, success

POISON = '{"text": "poison"}'


async def test_job_whose_output_cannot_be_stored_fails_and_its_worker_is_done_with_it(
    create: Create, workers: WorkerServiceStub, status: Status, sql: asyncpg.Connection
) -> None:
    await sql.execute("ALTER TABLE result ADD CHECK (output NOT LIKE '%poison%')")
    ids = [(await create()).id for _ in range(2)]
    leases = {lease.job_id: lease for lease in await lease_all(workers)}
    bad, good = success(leases[ids[0]], POISON), success(leases[ids[1]])
    for _ in range(2):
        assert await report(workers, bad, good) == [OK, OK]
    ended = [await status(job_id) for job_id in ids]
    assert [s.state for s in ended] == [job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_COMPLETED]
    assert ended[0].error.reason == "OUTCOME_REJECTED"


@pytest.mark.parametrize("options", [{}, {"unique_key": "k"}])
async def test_input_that_cannot_be_stored_is_an_invalid_argument(
    create: Create, sql: asyncpg.Connection, options: dict[str, str]
) -> None:
    await sql.execute("ALTER TABLE job ADD CHECK (input NOT LIKE '%poison%')")
    refusal = await refused(create(input=Payload(json_text=POISON), **options))
    assert (refusal.code.name, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert "poison" not in refusal.message
    assert await sql.fetchval("SELECT count(*) FROM job") == 0
