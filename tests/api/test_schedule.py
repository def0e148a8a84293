"""CreateJob: a start relative to the creation, and jobs that could never begin."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_HOUR = Duration(seconds=3600)


def _in(seconds: float) -> Timestamp:
    time = Timestamp()
    time.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    return time


async def test_delay_is_shown_as_the_schedule_that_it_came_to(
    create: Create, jobs: JobServiceStub
) -> None:
    created = await create(schedule_delay=Duration(seconds=90, nanos=500_000_000))
    due = created.create_time.ToDatetime() + timedelta(seconds=90.5)
    assert created.spec.schedule_time.ToDatetime() == due
    assert created.status.next_attempt_time == created.spec.schedule_time
    assert not created.spec.HasField("schedule_delay")
    read = (await jobs.GetJob(pb.GetJobRequest(job_id=created.id))).job
    assert read.spec.schedule_time == created.spec.schedule_time
    assert read.status.wait_reason == job_pb2.WAIT_REASON_SCHEDULE_TIME


async def test_delay_of_nothing_means_now(create: Create) -> None:
    created = await create(schedule_delay=Duration())
    assert created.spec.schedule_time == created.create_time
    assert not created.status.HasField("next_attempt_time")


async def test_repeated_delay_is_the_same_request(create: Create) -> None:
    request_id = str(uuid4())
    first = await create(schedule_delay=_HOUR, request_id=request_id)
    again = await create(schedule_delay=_HOUR, request_id=request_id)
    assert (again.id, again.spec) == (first.id, first.spec)
    refusal = await refused(create(schedule_delay=Duration(seconds=1), request_id=request_id))
    assert refusal.reason == "REQUEST_ID_REUSED"


def _hopeless() -> list[tuple[dict[str, Any], str]]:
    """Specs of jobs that would expire before they may first run, by the database's clock."""
    return [
        ({"expire_time": _in(-1)}, "spec.expire_time"),
        ({"expire_time": _in(-3600), "schedule_time": _in(-7200)}, "spec.expire_time"),
        ({"expire_time": _in(60), "schedule_delay": _HOUR}, "spec.expire_time"),
        ({"ttl": Duration(seconds=1), "schedule_time": _in(10)}, "spec.ttl"),
        ({"ttl": Duration(nanos=1)}, "spec.ttl"),
    ]


@pytest.mark.parametrize("more", [{}, {"unique_key": "k"}, {"validate_only": True}])
@pytest.mark.parametrize("request_id", ["", "01a20804-e9ba-7c83-b2c8-3509c2b541a3"])
async def test_job_that_could_never_begin_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables, more: dict[str, Any], request_id: str
) -> None:
    before = await tables()
    of_spec = {name: value for name, value in more.items() if name == "unique_key"}
    of_call = {name: value for name, value in more.items() if name == "validate_only"}
    for spec, path in _hopeless():
        request = pb.CreateJobRequest(
            spec=job_pb2.JobSpec(queue=queue, **spec, **of_spec), request_id=request_id, **of_call
        )
        refusal = await refused(jobs.CreateJob(request))
        assert (refusal.what, refusal.fields) == (_INVALID, [path]), spec
    assert await tables() == before


async def test_job_that_could_never_begin_is_named_in_its_batch(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    for spec, path in _hopeless():
        requests = [
            pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, **fields))
            for fields in ({}, spec, {"ttl": _HOUR})
        ]
        refusal = await refused(jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=requests)))
        assert (refusal.what, refusal.fields) == (_INVALID, [f"requests[1].{path}"])
        assert refusal.metadata == {"index": "1"}
    assert await tables() == before


async def test_creation_is_found_again_after_the_job_has_expired(
    create: Create, sql: asyncpg.Connection
) -> None:
    """A call whose answer was lost, repeated late: the request id decides, not the clock."""
    end, request_id = _in(0.5), str(uuid4())
    created = await create(expire_time=end, request_id=request_id)
    await sql.fetchval("SELECT pg_sleep_until($1)", end.ToDatetime(tzinfo=UTC))
    again = await create(expire_time=end, request_id=request_id)
    assert again.id == created.id


async def test_time_that_is_barely_enough_is_accepted(create: Create) -> None:
    for spec in (
        {"ttl": Duration(seconds=61), "schedule_delay": Duration(seconds=60)},
        {"ttl": Duration(seconds=60), "schedule_time": _in(-3600)},
        {"ttl": Duration(seconds=60), "schedule_time": _in(50)},
        {"expire_time": _in(3600), "schedule_delay": Duration(seconds=3000)},
    ):
        assert (await create(**spec)).id
