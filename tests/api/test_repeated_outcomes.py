"""ReportOutcomes: one outcome of a lease is accepted, and confirmed as often as it is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.payload_pb2 import Payload, PayloadSchema
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
from tests.api.support.worker import (
    LOST,
    OK,
    failure,
    lease_all,
    lease_one,
    release,
    report,
    success,
)

_INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
_AT_ONCE = job_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration())
_PENDING, _COMPLETED, _FAILED, _CANCELLED = (
    job_pb2.JOB_STATE_PENDING,
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
)


@pytest.mark.parametrize(
    "outcome",
    [
        lambda lease: success(lease, '{"a": [1]}'),
        lambda lease: success(lease),
        lambda lease: failure(lease, code_pb2.NOT_FOUND, message="m", metadata={"k": "v"}),
        lambda lease: failure(lease, message="m"),
        lambda lease: release(lease),
    ],
    ids=["success", "empty success", "final failure", "failure", "release"],
)
async def test_same_outcome_again_is_confirmed_again(
    create: Create, workers: WorkerServiceStub, tables: Tables, outcome: Any
) -> None:
    await create()
    reported = outcome(await lease_one(workers))
    assert await report(workers, reported) == [OK]
    before = await tables()
    assert await report(workers, reported) == [OK]
    assert await tables() == before


async def test_rejected_output_again_is_confirmed_again(
    create: Create, declare: Callable[..., Awaitable[Any]], workers: WorkerServiceStub
) -> None:
    schema = PayloadSchema()
    schema.json_schema.update({"required": ["a"]})
    await declare(output_schema=schema)
    await create()
    reported = success(await lease_one(workers), '{"b": 1}')
    assert await report(workers, reported) == [OK]
    assert await report(workers, reported) == [OK]


_ODD = [
    '{"a": 1e308, "b": -0.0, "c": 1E+2, "d": 1e-999}',
    '{"a": %s}' % ("9" * 308),
    '{"a": 0.%s}' % ("1" * 5000),
    '{"a": "\\ud83d\\ude00", "\\u00e9": null}',
    '{"": {"": [[], {}, ""]}}',
    '{"a": "\u2028\x7f"}',
    '{"a":' * 32 + "1" + "}" * 32,
    '{"a": [true, 1, 1.0, "1"]}',
    # These are refused, as often as they are sent.
    '{"a": 1e309}',
    '{"a": 1%s}' % ("0" * 5000),
    '{"a": "\\ud800"}',
    '{"a": 1, "a": 1}',
    "[" * 50_000,
    "",
]


async def test_odd_outputs_get_one_answer_each_however_often_they_are_sent(
    create: Create, declare: Callable[..., Awaitable[Any]], workers: WorkerServiceStub
) -> None:
    definition = '{"additionalProperties": {"not": {"minimum": 1e307}}}'
    await declare("strict", output_schema=PayloadSchema(json_schema_text=definition))
    for queue in ["q", "strict"] * len(_ODD):
        await create(queue=queue)
    leases = await lease_all(workers, queues=["q", "strict"])
    outcomes = [success(lease, text) for lease, text in zip(leases, _ODD * 2, strict=True)]
    first = await report(workers, *outcomes)
    assert [answer[0] for answer in first] == (["OK"] * 8 + ["INVALID_ARGUMENT"] * 6) * 2
    assert await report(workers, *outcomes) == first
    assert await report(workers, *reversed(outcomes)) == first[::-1]


async def test_success_in_another_spelling_is_the_same_outcome(
    create: Create, workers: WorkerServiceStub
) -> None:
    await create()
    lease = await lease_one(workers)
    struct = Payload()
    struct.json.update({"a": 1, "b": [2]})
    assert await report(workers, success(lease, '{"b": [2], "a": 1}')) == [OK]
    again = pb.JobOutcome(lease_id=lease.lease_id, success=pb.JobSuccess(output=struct))
    assert await report(workers, again) == [OK]


async def test_second_outcome_is_refused_when_it_differs(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    lease = await lease_one(workers)
    assert await report(workers, success(lease, '{"a": 1}')) == [OK]
    before = await tables()
    others = [success(lease, '{"a": 2}'), success(lease), failure(lease), release(lease)]
    assert await report(workers, *others) == [LOST] * 4
    assert await tables() == before


async def test_of_outcomes_in_one_call_the_first_counts(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    first, other = success(lease, '{"a": 1}'), failure(lease)
    assert await report(workers, first, other, first) == [OK, LOST, OK]
    assert (await status(job.id)).state == _COMPLETED


async def test_one_of_100_different_outcomes_at_once_wins(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    answers = await asyncio.gather(
        *(report(workers, success(lease, f'{{"n": {n}}}')) for n in range(100))
    )
    (winner,) = [n for n, answer in enumerate(answers) if answer == [OK]]
    assert all(answer == [LOST] for n, answer in enumerate(answers) if n != winner)
    assert (await status(job.id)).output.json["n"] == winner


async def test_unknown_and_foreign_leases_are_lost(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    lease = await lease_one(workers)
    job_id, number = lease.lease_id.split(".")
    before = await tables()
    texts = [f"{uuid4()}.{number}", f"{job_id}.{int(number) + 1}", "nonsense", f"{job_id}.-1"]
    outcomes = [success(pb.JobLease(lease_id=text)) for text in texts]
    assert await report(workers, *outcomes) == [LOST] * 4
    assert await report(workers, success(lease), worker_id="w2") == [LOST]
    assert await tables() == before
    assert await report(workers, success(lease), worker_id="") == [OK]


async def test_lease_of_another_worker_cannot_be_guessed(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    for _ in range(3):
        await create()
    # The caller of a job knows its id; a worker knows its own leases, before and after this one.
    before, victim, after = [await lease_one(workers, worker_id=f"w{n}") for n in range(3)]
    known = [int(lease.lease_id.split(".")[1]) for lease in (before, after)]
    near = (number + step for number in known for step in range(-200, 200))
    guesses = [*range(100), *near, sum(known) // 2][:899]
    outcomes = [success(pb.JobLease(lease_id=f"{victim.job_id}.{guess}")) for guess in guesses]
    rows = await tables()
    assert await report(workers, *outcomes, worker_id="") == [LOST] * len(outcomes)
    assert await tables() == rows
    assert await report(workers, success(victim), worker_id="w1") == [OK]


async def test_stale_worker_cannot_finish(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    stale = await lease_one(workers)
    await report(workers, release(stale))
    current = await lease_one(workers)
    assert current.lease_id != stale.lease_id
    before = await tables()
    assert await report(workers, success(stale)) == [LOST]
    assert await tables() == before
    # Also when both are reported at once, in either order.
    assert await report(workers, success(stale), success(current)) == [LOST, OK]
