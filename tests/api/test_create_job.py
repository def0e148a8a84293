"""CreateJob: what a job is when it has been created."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.worker import lease_one


async def test_created_job_is_pending(create: Create, jobs: JobServiceStub) -> None:
    created = await create(input=payload_pb2.Payload(json_text='{"a": 1}'))
    assert created.status.state == job_pb2.JOB_STATE_PENDING
    assert (created.status.version, created.status.attempt) == (1, 0)
    read = (await jobs.GetJob(pb.GetJobRequest(job_id=created.id))).job
    assert read.spec.input.json["a"] == 1
    assert read.status.wait_reason == job_pb2.WAIT_REASON_NO_WORKER


async def test_answer_is_the_basic_view_of_what_get_job_returns(
    create: Create, jobs: JobServiceStub
) -> None:
    created = await create(
        input=payload_pb2.Payload(json_text='{"a": 1}'),
        priority=-100,
        labels={"team": "a", "x.y-z_1": ""},
        unique_key="k" * 255,
        retention=Duration(seconds=0),
        metadata=(("x-user-id", "ann"), ("x-session-id", "s")),
    )
    request = pb.GetJobRequest(job_id=created.id, view=job_pb2.JOB_VIEW_BASIC)
    read = (await jobs.GetJob(request, metadata=(("x-user-id", "ann"),))).job
    read.status.wait_reason = job_pb2.WAIT_REASON_UNSPECIFIED
    assert created == read
    assert not created.spec.HasField("input")
    assert created.owner == job_pb2.JobOwner(user_id="ann", has_session=True)


async def test_ids_are_version_7_and_sort_by_creation(create: Create) -> None:
    first, second = await create(), await create()
    assert first.id[14] == second.id[14] == "7"
    assert first.id[:13] <= second.id[:13]


async def test_job_and_its_place_are_written_together(
    create: Create, sql: asyncpg.Connection
) -> None:
    created = await create(priority=7)
    (row,) = await sql.fetch("SELECT job_id::text, queue, rank, attempt FROM waiting")
    assert tuple(row) == (created.id, "q", -7, 0)


async def test_defaults_come_from_the_queue(
    declare: Callable[..., Awaitable[object]], create: Create
) -> None:
    await declare(
        retry_policy=job_pb2.RetryPolicy(
            max_attempts=7,
            initial_backoff=Duration(seconds=3),
            max_backoff=Duration(seconds=30),
            backoff_multiplier=1.5,
        ),
        attempt_timeout=Duration(seconds=77),
        retention=Duration(seconds=88),
    )
    spec = (await create()).spec
    assert spec.retry_policy.max_attempts == 7
    assert spec.retry_policy.initial_backoff.seconds == 3
    assert spec.retry_policy.max_backoff.seconds == 30
    assert spec.retry_policy.backoff_multiplier == 1.5
    assert spec.attempt_timeout.seconds == 77
    assert spec.retention.seconds == 88


async def test_spec_comes_before_the_queue_and_the_server_last(
    declare: Callable[..., Awaitable[object]], create: Create
) -> None:
    await declare(
        retry_policy=job_pb2.RetryPolicy(max_attempts=7), attempt_timeout=Duration(seconds=77)
    )
    spec = (
        await create(
            retry_policy=job_pb2.RetryPolicy(initial_backoff=Duration()),
            attempt_timeout=Duration(seconds=1),
        )
    ).spec
    assert spec.attempt_timeout.seconds == 1
    assert spec.retry_policy.max_attempts == 7
    assert spec.retry_policy.initial_backoff == Duration()
    assert spec.retry_policy.max_backoff.seconds == 600
    assert spec.retry_policy.backoff_multiplier == 2
    assert not spec.HasField("retention")


async def test_scheduled_job_says_when_it_is_due(create: Create) -> None:
    due = Timestamp()
    due.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
    created = await create(schedule_time=due)
    assert created.status.next_attempt_time == due
    assert created.spec.schedule_time == due


async def test_past_schedule_means_now(create: Create) -> None:
    past = Timestamp(seconds=1)
    created = await create(schedule_time=past)
    assert created.spec.schedule_time == past
    assert not created.status.HasField("next_attempt_time")


async def test_ttl_counts_from_the_creation(create: Create) -> None:
    created = await create(ttl=Duration(seconds=3600))
    lives = created.spec.expire_time.ToDatetime() - created.create_time.ToDatetime()
    assert abs(lives.total_seconds() - 3600) < 1
    assert created.spec.WhichOneof("expiration") == "expire_time"


async def test_expire_time_is_kept(create: Create) -> None:
    end = Timestamp(seconds=4_000_000_000, nanos=123_000)
    created = await create(schedule_time=Timestamp(seconds=3_999_999_999), expire_time=end)
    assert created.spec.expire_time == end


async def test_validation_alone_writes_nothing(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    request = pb.CreateJobRequest(
        spec=job_pb2.JobSpec(queue=queue, unique_key="k"),
        request_id="00000000-0000-4000-8000-000000000001",
        validate_only=True,
    )
    answers = [await jobs.CreateJob(request, metadata=(("x-user-id", "ann"),)) for _ in range(2)]
    assert await tables() == before
    for answer in answers:
        assert (answer.job.id, answer.existing) == ("", False)
        assert answer.job.owner.user_id == "ann"


async def test_trace_of_the_caller_stays_with_the_job(create: Create) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    created = await create(metadata=(("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01"),))
    assert created.traceparent.split("-")[1] == trace_id


async def test_trace_context_travels_with_the_job(
    create: Create, workers: WorkerServiceStub
) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    long = ",".join(f"m{number}={'x' * 100}" for number in range(5))
    await create(
        metadata=(("traceparent", traceparent), ("tracestate", "a=1"), ("tracestate", long))
    )
    lease = await lease_one(workers)
    assert lease.traceparent == traceparent
    assert lease.tracestate == "a=1," + ",".join(f"m{number}={'x' * 100}" for number in range(4))
