"""Submit: many jobs on one stream, each for itself."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.api.submit_outbox import MAX_UNCONFIRMED
from jobsvc.api.submit_request import MAX_ITEMS
from jobsvc.app import Replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.submit_stream import SubmitStream, job, narrow_channel, reason, submit
from tests.api.support.worker import lease_one, release, report, success
from tests.support.probe import eventually, until_still
from tests.support.settings import TEST_SETTINGS
from tests.support.stream_write import write

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
pytestmark = pytest.mark.usefixtures("queue")


@pytest.fixture
def settings() -> Settings:
    """A busy machine may take its time between a lease and its report."""
    return replace(TEST_SETTINGS, acknowledge_seconds=10.0)


async def test_job_is_created_as_by_create_job(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    fields: dict[str, Any] = {
        "priority": 3,
        "labels": {"a": "b"},
        "input": Payload(json_text='{"n": 1}'),
        "schedule_delay": Duration(seconds=60),
    }
    other = await create(**fields)
    async with submit(jobs) as stream:
        (result,) = await stream.created(job(7, **fields))
    assert (result.tag, result.created.existing) == (7, False)
    made = result.created.job
    assert await sql.fetchval("SELECT count(*) FROM job WHERE id = $1", made.id) == 1
    for one in (made, other):
        for field in ("id", "create_time", "etag"):
            one.ClearField(field)
        one.status.ClearField("update_time")
        one.status.ClearField("next_attempt_time")
        one.spec.ClearField("schedule_time")
    assert made == other


async def test_ids_of_one_request_are_in_its_order(jobs: JobServiceStub) -> None:
    async with submit(jobs) as stream:
        results = await stream.created(*(job(tag) for tag in range(500, 0, -1)))
    ids = [result.created.job.id for result in results]
    assert ids == sorted(ids)
    assert len(set(ids)) == 500


async def test_request_id_makes_one_job_on_whatever_road(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    first = await create(request_id=request_id)
    async with submit(jobs) as stream:
        mine = str(uuid4())
        again, new = await stream.created(job(1, request_id=request_id), job(2, request_id=mine))
        (third,) = await stream.created(job(3, request_id=mine))
    assert (again.created.job.id, again.created.existing) == (first.id, True)
    assert not new.created.existing
    assert (third.created.job.id, third.created.existing) == (new.created.job.id, True)
    assert await create(request_id=mine) == new.created.job
    assert await sql.fetchval("SELECT count(*) FROM job") == 2


async def test_one_bad_job_spoils_no_other(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    used = str(uuid4())
    await create(request_id=used)
    await create(unique_key="k")
    bad = {
        1: (job(1, queue="none"), "QUEUE_NOT_FOUND"),
        2: (job(2, priority=1000), "INVALID_REQUEST"),
        3: (job(3, request_id=used, priority=5), "REQUEST_ID_REUSED"),
        4: (
            job(
                4,
                unique_key="k",
                unique_conflict_policy=job_pb2.UNIQUE_CONFLICT_POLICY_FAIL,
            ),
            "UNIQUE_KEY_TAKEN",
        ),
        5: (job(5, input=Payload(json_text="[]")), "PAYLOAD_REJECTED"),
        6: (
            pb.SubmitJob(tag=6, request=pb.CreateJobRequest(spec={"queue": "q"})),
            "INVALID_REQUEST",
        ),
        7: (job(7, input=Payload(json_text=f'{{"a": "{"x" * 300_000}"}}')), "PAYLOAD_TOO_LARGE"),
    }
    validated = job(8)
    validated.request.validate_only = True
    bad[8] = validated, "INVALID_REQUEST"
    stranger = job(9)
    stranger.session_id = "\n"
    bad[9] = stranger, "INVALID_REQUEST"
    async with submit(jobs) as stream:
        results = await stream.created(job(100), *(each for each, _ in bad.values()), job(101))
    assert results[0].HasField("created")
    assert results[-1].HasField("created")
    assert {r.tag: reason(r.error) for r in results[1:-1]} == {
        t: why for t, (_, why) in bad.items()
    }
    assert await sql.fetchval("SELECT count(*) FROM job") == 4


async def test_stream_outlives_a_request_of_which_every_job_is_refused(
    jobs: JobServiceStub,
) -> None:
    async with submit(jobs) as stream:
        (refused_job,) = await stream.created(job(1, priority=101))
        (created_job,) = await stream.created(job(2))
    assert reason(refused_job.error) == "INVALID_REQUEST"
    assert created_job.HasField("created")


async def test_unique_keys_are_kept_within_a_request(jobs: JobServiceStub) -> None:
    async with submit(jobs) as stream:
        results = await stream.created(*(job(tag, unique_key="k") for tag in range(20)))
    assert len({r.created.job.id for r in results}) == 1
    assert sum(not r.created.existing for r in results) == 1


async def test_full_queue_refuses_the_job_that_is_too_many(
    jobs: JobServiceStub, declare: Any, sql: asyncpg.Connection
) -> None:
    await declare("small", max_waiting=2)
    async with submit(jobs) as stream:
        results = await stream.created(*(job(tag, queue="small") for tag in range(3)), job(3))
    assert [r.WhichOneof("result") for r in results] == ["created", "created", "error", "created"]
    assert reason(results[2].error) == "QUEUE_FULL"


@pytest.mark.parametrize(
    "request_",
    [
        pb.SubmitRequest(jobs=[pb.SubmitJob()] * (MAX_ITEMS + 1)),
        pb.SubmitRequest(follow_job_ids=["x"]),
        pb.SubmitRequest(options=pb.SubmitOptions()),
    ],
)
async def test_request_that_breaks_a_rule_ends_the_stream_and_creates_nothing(
    jobs: JobServiceStub, tables: Tables, request_: pb.SubmitRequest
) -> None:
    before = await tables()
    async with submit(jobs) as stream:
        await write(stream.call, request_)
        assert (await refused(stream.read())).what == _INVALID
    assert await tables() == before


async def test_garbage_ends_the_stream(channel: aio.Channel) -> None:
    call = channel.stream_stream("/jobsvc.v1.JobService/Submit")()
    assert pb.SubmitResponse.FromString(await call.read()).HasField("limits")
    await write(call, b"\xff\xff")
    assert (await refused(call.read())).what == _INVALID


async def test_followed_job_is_reported_to_its_end_with_its_output(
    jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    async with submit(jobs) as stream:
        first, _ = await stream.created(job(1, follow=True), job(2))
        lease = await lease_one(workers)
        assert (await stream.update()).status.state == job_pb2.JOB_STATE_PROCESSING
        await report(workers, success(lease, '{"a": 1}'))
        last = await stream.update()  # The one before was read, so this one is the end.
        assert last.job_id == first.created.job.id
        assert last.status.state == job_pb2.JOB_STATE_COMPLETED
        assert last.status.output.HasField("json")
        await report(workers, success(await lease_one(workers)))
        # That one is not followed.
        (done,) = await stream.created(job(3, follow=True))
        assert stream.updates == []
        await stream.leave()
    assert done.HasField("created")


async def test_existing_job_is_followed_from_what_it_is(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub
) -> None:
    request_id = str(uuid4())
    await create(request_id=request_id)
    await report(workers, success(await lease_one(workers), '{"a": 1}'))
    async with submit(jobs) as stream:
        (result,) = await stream.created(job(1, follow=True, request_id=request_id))
        assert result.created.existing
        update = await stream.update()
    assert update.status.state == job_pb2.JOB_STATE_COMPLETED
    assert update.status.HasField("output")


async def test_jobs_are_followed_and_left_alone_on_request(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub
) -> None:
    left, kept = await create(), await create()
    async with submit(jobs) as stream:
        await stream.send(follow_job_ids=[left.id, kept.id])
        assert {(await stream.update()).job_id, (await stream.update()).job_id} == {
            left.id,
            kept.id,
        }
        await stream.send(unfollow_job_ids=[left.id])
        # In order: it is left before this one exists.
        await stream.created(job(1))
        await report(workers, success(await lease_one(workers)))
        await report(workers, success(await lease_one(workers)))
        told = [await stream.update()]
        while told[-1].status.state != job_pb2.JOB_STATE_COMPLETED:
            told.append(await stream.update())
        assert {u.job_id for u in told} == {kept.id}
        assert stream.failures == {}


async def test_job_that_is_not_visible_is_a_follow_failure(
    jobs: JobServiceStub, create: Create
) -> None:
    theirs = await create(metadata=(("x-session-id", "theirs"),))
    nothing = str(uuid4())
    mine = await create()
    async with submit(jobs) as stream:
        await stream.send(follow_job_ids=[theirs.id, nothing, mine.id])
        assert await stream.failure(theirs.id) == "JOB_NOT_OWNED"
        assert await stream.failure(nothing) == "JOB_NOT_FOUND"
        assert (await stream.update()).job_id == mine.id


async def test_nothing_is_told_of_a_job_while_its_owner_is_being_checked(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub
) -> None:
    theirs = await create(metadata=(("x-session-id", "theirs"),))

    async def change() -> None:
        while True:
            await report(workers, release(await lease_one(workers)))

    async with submit(jobs) as stream:
        changing = asyncio.create_task(change())
        for _ in range(300):
            await stream.send(follow_job_ids=[theirs.id])
            assert await stream.failure(theirs.id) == "JOB_NOT_OWNED"
            assert stream.updates == []
            stream.failures.clear()
        assert not changing.done()
        changing.cancel()


async def test_removed_job_is_a_follow_failure(
    jobs: JobServiceStub, create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    gone = await create()
    async with submit(jobs) as stream:
        await stream.send(follow_job_ids=[gone.id])
        await stream.update()
        await sql.execute("DELETE FROM waiting")
        await sql.execute("DELETE FROM job")
        assert await stream.failure(gone.id) == "JOB_NOT_FOUND"


async def test_jobs_may_be_created_for_others(jobs: JobServiceStub) -> None:
    async with submit(jobs, metadata=(("x-session-id", "mine"),)) as stream:
        theirs = job(2)
        theirs.session_id, theirs.user_id = "theirs", "ann"
        results = await stream.created(job(1), theirs)
    owners = [result.created.job.owner for result in results]
    assert [(o.has_session, o.user_id) for o in owners] == [(True, ""), (True, "ann")]
    for result, session in zip(results, ("mine", "theirs"), strict=True):
        request = pb.GetJobRequest(job_id=result.created.job.id)
        await jobs.GetJob(request, metadata=(("x-session-id", session),))
        other = {"mine": "theirs", "theirs": "mine"}[session]
        refusal = await refused(jobs.GetJob(request, metadata=(("x-session-id", other),)))
        assert refusal.reason == "JOB_NOT_OWNED"


async def test_trace_context_of_each_job_travels_with_it(
    jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    contexts = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    first, second, third = job(1), job(2), job(3)
    first.traceparent, second.traceparent, third.traceparent = *contexts, "nonsense"
    async with submit(jobs) as stream:
        results = await stream.created(first, second, third)
    assert [r.created.job.traceparent[:35] for r in results[:2]] == [c[:35] for c in contexts]
    assert results[2].created.job.traceparent == ""


async def test_encoding_of_outputs_is_that_of_the_first_request(
    jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    call = jobs.Submit()
    stream = SubmitStream(call)
    await stream.send(
        job(1, follow=True),
        options=pb.SubmitOptions(payload_encoding=PAYLOAD_ENCODING_JSON_TEXT),
    )
    while 1 not in stream.results:
        await stream.read()
    await report(workers, success(await lease_one(workers), '{"a": 1}'))
    while not (last := await stream.update()).status.HasField("output"):
        pass
    assert last.status.output.json_text == '{"a": 1}'
    call.cancel()


async def test_drain_answers_what_was_read_and_ends_the_stream(
    jobs: JobServiceStub, server: Replica, sql: asyncpg.Connection
) -> None:
    async with submit(jobs) as stream:
        async with sql.transaction():
            await sql.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
            await stream.send(*(job(tag) for tag in range(100)))
            await eventually(
                lambda: sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"),
                what="a creation that waits",
            )
            draining = asyncio.create_task(server.drain())
            while not stream.drain:
                await stream.read()
            await stream.send(job(1000))
            assert stream.results == {}

        async def to_the_end() -> None:
            while True:
                await stream.read()

        assert (await refused(to_the_end())).what == (
            grpc.StatusCode.UNAVAILABLE,
            "SERVER_DRAINING",
        )
        await draining
    assert sorted(stream.results) == list(range(100))
    assert await sql.fetchval("SELECT count(*) FROM job") == 100


async def test_half_close_gets_all_results(jobs: JobServiceStub) -> None:
    async with submit(jobs) as stream:
        for start in range(0, 1000, 100):
            await stream.send(*(job(tag, follow=True) for tag in range(start, start + 100)))
        await stream.call.done_writing()
        while len(stream.results) < 1000:
            await stream.read()
        assert await stream.call.read() is aio.EOF
        assert await stream.call.code() == grpc.StatusCode.OK


async def test_silent_stream_beats(jobs: JobServiceStub) -> None:
    call = jobs.Submit()
    await write(call, pb.SubmitRequest(options={"heartbeat_interval": Duration(seconds=5)}))
    assert (await call.read()).HasField("limits")
    beat = await asyncio.wait_for(call.read(), 15)
    assert beat.HasField("heartbeat")
    call.cancel()


async def test_caller_that_does_not_read_is_slowed_and_loses_nothing(
    server: Replica, sql: asyncpg.Connection
) -> None:
    requests = 2 * MAX_UNCONFIRMED // MAX_ITEMS

    async def created() -> int:
        return int(await sql.fetchval("SELECT count(*) FROM job"))

    async with narrow_channel(server) as channel, submit(JobServiceStub(channel)) as stream:

        async def write() -> None:
            for start in range(requests):
                await stream.send(*(job(start * MAX_ITEMS + n) for n in range(MAX_ITEMS)))

        writing = asyncio.create_task(write())
        await eventually(created, seconds=30, what="a job")
        await until_still(created, 2.0)
        assert 0 < await created() < requests * MAX_ITEMS
        while len(stream.results) < requests * MAX_ITEMS:
            await stream.read()
        await writing
    assert await created() == requests * MAX_ITEMS
