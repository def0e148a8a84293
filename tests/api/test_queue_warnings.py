"""Warnings of UpdateQueue: waiting jobs that a new schema would refuse, and schemas of before."""

from typing import Any

import asyncpg
from google.protobuf.duration_pb2 import Duration

from jobsvc.queues.update_warnings import MAX_JOBS
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.worker_stream import create_many
from tests.support.loop_watch import loop_watched

A: dict[str, Any] = {"required": ["a"]}
B: dict[str, Any] = {"required": ["b"]}
C: dict[str, Any] = {"required": ["c"]}


async def update(
    queues: QueueServiceStub,
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    keep_newer_schema: bool = False,
    **fields: Any,
) -> pb.UpdateQueueResponse:
    queue = pb.Queue(name="q", **fields)
    if input_schema is not None:
        queue.input_schema.json_schema.update(input_schema)
    if output_schema is not None:
        queue.output_schema.json_schema.update(output_schema)
    return await queues.UpdateQueue(
        pb.UpdateQueueRequest(queue=queue, allow_missing=True, keep_newer_schema=keep_newer_schema)
    )


async def declare(
    queues: QueueServiceStub,
    input_schema: dict[str, Any],
    output_schema: dict[str, Any] | None = None,
    **fields: Any,
) -> pb.UpdateQueueResponse:
    """As workers do."""
    return await update(queues, input_schema, output_schema, True, **fields)


def warned(response: pb.UpdateQueueResponse) -> list[tuple[str, str]]:
    return [(warning.field, warning.reason) for warning in response.warnings]


SUPERSEDED = ("queue.input_schema", "SCHEMA_SUPERSEDED")


async def test_waiting_jobs_that_would_be_refused_are_counted(
    queues: QueueServiceStub, create: Create
) -> None:
    for text in ('{"a": 1}', '{"a": 1, "b": 2}', "{}"):
        await create(input=Payload(json_text=text))
    (warning,) = (await update(queues, B)).warnings
    assert (warning.field, warning.reason) == ("queue.input_schema", "WAITING_JOBS_DO_NOT_FIT")
    assert warning.message.startswith("2 of 3 waiting jobs do not fit it")
    assert warned(await update(queues, B)) == []
    assert warned(await update(queues, {})) == []


async def test_input_that_was_taken_under_other_rules_does_not_fit(
    queues: QueueServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    await sql.execute("""UPDATE job SET input = '{"b": 1, "b": 2}'""")
    (warning,) = (await update(queues, B)).warnings
    assert warning.message.startswith("1 of 1 waiting jobs do not fit it")


async def test_only_the_first_of_many_waiting_jobs_are_looked_at(
    queues: QueueServiceStub, queue: str, jobs: JobServiceStub
) -> None:
    for count in (MAX_JOBS // 2, MAX_JOBS // 2, 1):
        await create_many(jobs, count)
    (warning,) = (await update(queues, B)).warnings
    counted = "at least 1,000 waiting jobs do not fit it, of the first 1,000"
    assert warning.message.startswith(counted)


async def test_only_so_many_bytes_of_waiting_jobs_are_looked_at(
    queues: QueueServiceStub, queue: str, jobs: JobServiceStub
) -> None:
    large = Payload(json_text='{"a": "' + 250_000 * "x" + '"}')
    for _ in range(3):
        await create_many(jobs, 8, input=large)
    (warning,) = (await update(queues, B)).warnings
    assert warning.message.startswith("at least 16 waiting jobs do not fit it, of the first 16")


async def test_the_look_at_large_inputs_lets_others_have_the_loop(
    queues: QueueServiceStub, queue: str, jobs: JobServiceStub
) -> None:
    large = Payload(json_text='{"a": [' + ",".join("0" * 100_000) + "]}")
    for _ in range(2):
        await create_many(jobs, 8, input=large)
    async with loop_watched() as passes:
        await update(queues, {"properties": {"a": {"items": {"type": "integer"}}}})
    assert sum(passes) > 2 * max(passes)


async def test_older_worker_does_not_take_the_schema_back(
    queues: QueueServiceStub, tables: Tables
) -> None:
    assert warned(await declare(queues, A)) == []
    assert warned(await declare(queues, B)) == []
    before = await tables()
    for _ in range(2):
        older = await declare(queues, A, attempt_timeout=Duration(seconds=5))
        assert warned(older) == [SUPERSEDED]
        assert older.queue.input_schema.json_schema["required"] == ["b"]
        assert not older.queue.HasField("attempt_timeout")
    assert await tables() == before
    assert warned(await declare(queues, B)) == []
    newer = await declare(queues, C, attempt_timeout=Duration(seconds=5))
    assert warned(newer) == []
    assert newer.queue.input_schema.json_schema["required"] == ["c"]
    assert warned(await declare(queues, A)) == warned(await declare(queues, B)) == [SUPERSEDED]


async def test_one_schema_of_before_is_enough_to_tell_an_older_worker(
    queues: QueueServiceStub,
) -> None:
    await declare(queues, A, A)
    await declare(queues, A, B)
    assert warned(await declare(queues, C, A)) == [("queue.output_schema", "SCHEMA_SUPERSEDED")]
    assert warned(await declare(queues, B, B)) == []


async def test_worker_does_not_take_back_what_an_operator_has_changed(
    queues: QueueServiceStub,
) -> None:
    await declare(queues, A)
    await update(queues, B)
    assert warned(await declare(queues, A)) == [SUPERSEDED]


async def test_rollback_takes_a_schema_back_and_later_ones_count_as_new_again(
    queues: QueueServiceStub,
) -> None:
    for schema in (A, B, C):
        await declare(queues, schema)
    assert warned(await update(queues, B)) == []
    assert warned(await declare(queues, A)) == [SUPERSEDED]
    assert warned(await declare(queues, C)) == []
    assert warned(await declare(queues, B)) == [SUPERSEDED]
    assert warned(await update(queues, A)) == []
    assert warned(await declare(queues, B)) == []
    assert warned(await declare(queues, C)) == []


async def test_schemas_of_queues_are_told_apart(queues: QueueServiceStub) -> None:
    for schema in (A, B):
        await declare(queues, schema)
    request = pb.UpdateQueueRequest(
        queue=pb.Queue(name="other"), allow_missing=True, keep_newer_schema=True
    )
    request.queue.input_schema.json_schema.update(A)
    assert warned(await queues.UpdateQueue(request)) == []
