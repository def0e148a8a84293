"""Large Structs: the same as small ones on every road, and nobody else waits for them."""

import asyncio
import gc
import json

import asyncpg
import grpc
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload, PayloadSchema
from jobsvc.v1.queue_service_pb2 import GetQueueRequest, Queue, UpdateQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2 import JobOutcome, JobSuccess
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.status_stream import follow, update
from tests.api.support.worker import OK, lease_all, report
from tests.api.support.worker_stream import work
from tests.support.loop_watch import loop_watched
from tests.support.probe import eventually


def _payload(count: int) -> Payload:
    """`count` numbers and some of everything else."""
    payload = Payload(json=Struct())
    payload.json.update({"a": [0.5, *range(count)], "b": {"c": [[], {}, None, True, 'ä"\n']}})
    return payload


_LARGE = _payload(20_000)
_SMALL = _payload(3)
#: As many as the default limit of payloads allows.
_LARGEST = _payload(44_000)


def _success(lease_id: str, output: Payload) -> JobOutcome:
    return JobOutcome(lease_id=lease_id, success=JobSuccess(output=output))


async def test_unary_calls_carry_them(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    created = [await create(input=payload) for payload in (_SMALL, _LARGE, _SMALL, _LARGE)]
    leases = await lease_all(workers)
    assert [lease.job_id for lease in leases] == [job.id for job in created]
    assert [lease.input for lease in leases] == [_SMALL, _LARGE, _SMALL, _LARGE]
    outcomes = [_success(lease.lease_id, _LARGE) for lease in leases]
    assert await report(workers, *outcomes) == [OK] * 4
    for job in created[1:3]:
        got = (await jobs.GetJob(pb.GetJobRequest(job_id=job.id))).job
        waited = (await jobs.WaitJob(pb.WaitJobRequest(job_id=job.id))).job
        assert got.spec.input == waited.spec.input == (_LARGE if job is created[1] else _SMALL)
        assert got.status.output == waited.status.output == _LARGE
    read = pb.GetJobRequest(job_id=created[1].id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    text = (await jobs.GetJob(read)).job.status.output.json_text
    assert json.loads(text) == {
        "a": [0.5, *range(20_000)],
        "b": {"c": [[], {}, None, True, 'ä"\n']},
    }
    call = follow(jobs, created[1].id)
    assert (await update(call)).status.output == _LARGE


async def test_batches_and_streams_carry_them(channel: aio.Channel, jobs: JobServiceStub) -> None:
    payloads = [_SMALL, _LARGE, _LARGE, _SMALL]
    async with work(channel) as stream:
        await stream.set_window(0)
        specs = [job_pb2.JobSpec(queue="q", input=payload) for payload in payloads]
        batch = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=s) for s in specs])
        created = (await jobs.BatchCreateJobs(batch)).responses
        await stream.set_window(10)
        leases = []
        while len(leases) < 4:
            leases += await stream.dispatched()
        assert [lease.job_id for lease in leases] == [item.job.id for item in created]
        assert [lease.input for lease in leases] == payloads
        outcomes = [_success(lease.lease_id, _LARGE) for lease in leases]
        assert await stream.report(*outcomes) == [OK] * 4
    got = (await jobs.GetJob(pb.GetJobRequest(job_id=created[3].job.id))).job
    assert (got.spec.input, got.status.output) == (_SMALL, _LARGE)


async def test_defect_is_named_by_its_path(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    (lease,) = await lease_all(workers)
    before = await tables()
    bad = Payload()
    bad.CopyFrom(_LARGE)
    bad.json.fields["a"].list_value.values.add()
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q", input=bad))
    refusal = await refused(jobs.CreateJob(request))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_REJECTED")
    assert refusal.fields == ["spec.input.json.a[20001]"]
    batch = pb.BatchCreateJobsRequest(requests=[request])
    assert (await refused(jobs.BatchCreateJobs(batch))).fields == [
        "requests[0].spec.input.json.a[20001]"
    ]
    assert await report(workers, _success(lease.lease_id, bad)) == [
        ("INVALID_ARGUMENT", "PAYLOAD_REJECTED")
    ]
    too_large = job_pb2.JobSpec(queue="q", input=_payload(60_000))
    refusal = await refused(jobs.CreateJob(pb.CreateJobRequest(spec=too_large)))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE")
    assert await tables() == before


async def _longest_share(
    channel: aio.Channel, method: str, request: Message, calls: int = 16
) -> float:
    """Which part of the work for so many calls at once the longest pass of the loop had."""
    written = request.SerializeToString()
    call = channel.unary_unary(f"/jobsvc.v1.{method}")
    async with loop_watched() as passes:
        await asyncio.gather(*(call(written) for _ in range(calls)), return_exceptions=True)
    return max(passes) / sum(passes)


async def test_many_at_once_are_read_and_written_in_turns(
    create: Create, channel: aio.Channel
) -> None:
    job = await create(input=_LARGEST)
    read = pb.GetJobRequest(job_id=job.id)
    # One conversion alone, in one go, is a sixteenth.
    assert await _longest_share(channel, "JobService/GetJob", read) < 1 / 24
    create_job = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q", input=_LARGEST))
    assert await _longest_share(channel, "JobService/CreateJob", create_job) < 1 / 24


async def test_many_at_once_are_decoded_in_turns(channel: aio.Channel) -> None:
    flags = Payload(json=Struct())  # which take longest for their size
    flags.json.update({"a": [True] * 900})
    spec = job_pb2.JobSpec(queue="q", input=flags)
    # Too many, so that it is refused as soon as it is decoded.
    batch = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * 1001)
    # Decoding one, in one go, is a quarter.
    assert await _longest_share(channel, "JobService/BatchCreateJobs", batch, calls=4) < 1 / 6


async def test_large_schemas_are_written_in_turns(
    channel: aio.Channel, queues: QueueServiceStub
) -> None:
    definition = json.dumps({"examples": list(range(40_000))})
    schema = PayloadSchema(json_schema_text=definition)
    queue = Queue(name="q", input_schema=schema)
    await queues.UpdateQueue(UpdateQueueRequest(queue=queue, allow_missing=True))
    read = GetQueueRequest(name="q")
    got = (await queues.GetQueue(read)).queue.input_schema.json_schema
    assert list(got["examples"]) == list(range(40_000))
    assert await _longest_share(channel, "QueueService/GetQueue", read) < 1 / 24


def _lists() -> int:
    return sum(type(found) is list for found in gc.get_objects())


async def test_nothing_decoded_is_kept_while_jobs_wait_for_the_database(
    create: Create, sql: asyncpg.Connection
) -> None:
    """The collector of garbage would look through all of it again and again."""
    many = Payload(json_text='{"a":[' + ",".join(["[1]"] * 50_000) + "]}")
    before = _lists()
    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        creating = [asyncio.ensure_future(create(input=many)) for _ in range(4)]
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await eventually(lambda: sql.fetchval(blocked))
        await eventually(lambda: _lists() < before + 25_000)
        assert not any(call.done() for call in creating)
    await asyncio.gather(*creating)
