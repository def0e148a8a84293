"""A worker declares its types, the server checks inputs by them, and the worker decodes them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from grpc import aio
from msgspec import Meta

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as jobs_pb
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.worker import Processor
from tests.api.support.refusal import refused
from tests.worker.support.callers import Caller, Sum, worker

pytestmark = pytest.mark.timeout(60)


@dataclass
class Order:
    n: int = 0
    placed: Annotated[datetime, Meta(tz=True)] | None = None
    number: UUID | None = None
    seal: bytes = b""
    wait: timedelta = timedelta()
    price: Decimal = Decimal()


async def take(order: Order) -> Sum:
    return Sum(order.n)


async def test_door_refuses_by_its_path_what_the_worker_cannot_decode(
    server: Replica, channel: aio.Channel
) -> None:
    bad = {
        "placed": '"yesterday"',
        "number": '"x"',
        "seal": '"%%%"',
        "wait": '"5 min"',
        "price": '"abc"',
        "prise": '"1.00"',
        "n": "1.5",
    }
    caller = Caller(channel)
    async with worker(server, Processor(take, "q")):
        for key, value in bad.items():
            payload = Payload(json_text=f'{{"{key}": {value}}}')
            spec = job_pb2.JobSpec(queue="q", input=payload)
            refusal = await refused(caller.jobs.CreateJob(jobs_pb.CreateJobRequest(spec=spec)))
            assert refusal.fields == [f"spec.input.{key}"]


async def test_whole_number_is_an_integer_however_it_is_spelled(
    server: Replica, channel: aio.Channel
) -> None:
    caller = Caller(channel)
    struct = Payload(json=Struct(fields={"n": Value(number_value=2.0**53)}))
    payloads = [Payload(json_text='{"n": 1.0}'), Payload(json_text='{"n": 1E2}'), struct]
    async with worker(server, Processor(take, "q")):
        for payload, total in zip(payloads, [1, 100, 2**53], strict=True):
            spec = job_pb2.JobSpec(queue="q", input=payload)
            created = await caller.jobs.CreateJob(jobs_pb.CreateJobRequest(spec=spec))
            job = await caller.end(created.job.id)
            assert job.status.state == job_pb2.JOB_STATE_COMPLETED
            assert job.status.output.json["total"] == total
