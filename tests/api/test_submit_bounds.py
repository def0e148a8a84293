"""Submit: what one caller can take of a server, and what a response can have."""

import asyncio
import random
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from grpc import aio

from jobsvc.api.submit_follows import MAX_FOLLOWED
from jobsvc.api.submit_request import MAX_ITEMS
from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.submit_stream import job, narrow_channel, reason, submit
from tests.api.support.worker import lease_all, report, success
from tests.support.loop_watch import loop_watched
from tests.support.probe import eventually, until_still

_ENDED = {
    job_pb2.JOB_STATE_COMPLETED,
    job_pb2.JOB_STATE_FAILED,
    job_pb2.JOB_STATE_CANCELLED,
}
pytestmark = pytest.mark.usefixtures("queue")


async def test_results_that_are_large_come_in_several_responses(jobs: JobServiceStub) -> None:
    """Together they are larger than the request, and than what a client takes."""
    labels = {f"l{n}": "x" * 123 for n in range(31)}
    sent = [job(tag, labels=labels | {"n": str(tag).zfill(4)}) for tag in range(MAX_ITEMS)]
    size_bytes = pb.SubmitRequest(jobs=sent).ByteSize()
    assert 0.98 * (4 << 20) < size_bytes < 4 << 20
    async with submit(jobs) as stream:
        results = await stream.created(*sent)
    assert [int(r.created.job.spec.labels["n"]) for r in results] == list(range(MAX_ITEMS))
    assert sum(r.ByteSize() for r in results) > 4 << 20


async def test_outputs_that_are_large_come_in_several_responses(
    jobs: JobServiceStub, workers: WorkerServiceStub, server: Replica
) -> None:
    output = f'{{"a": "{"x" * 200_000}"}}'
    async with narrow_channel(server) as channel, submit(JobServiceStub(channel)) as stream:
        await stream.created(*(job(tag, follow=True) for tag in range(40)))
        # Nothing is read until all have ended.
        for _ in range(8):
            await report(
                workers, *(success(lease, output) for lease in await lease_all(workers, 5))
            )
        ended = set()
        while len(ended) < 40:
            update = await stream.update()
            if update.status.state in _ENDED:
                ended.add(update.job_id)


async def test_caller_that_does_not_read_why_jobs_are_not_followed_is_slowed(
    server: Replica,
) -> None:
    requests, written = 150, 0
    async with narrow_channel(server) as channel, submit(JobServiceStub(channel)) as stream:

        async def write() -> None:
            nonlocal written
            for _ in range(requests):
                await stream.send(follow_job_ids=[str(uuid4()) for _ in range(MAX_ITEMS)])
                written += 1

        async def so_far() -> int:
            return written

        writing = asyncio.create_task(write())
        await eventually(so_far, seconds=30, what="a request that is written")
        await until_still(so_far, 3.0)
        assert 0 < written < requests
        while len(stream.failures) < requests * MAX_ITEMS:
            await stream.read()
        await writing


async def test_job_without_room_is_created_and_then_a_follow_failure(jobs: JobServiceStub) -> None:
    async with submit(jobs) as stream:
        for start in range(0, MAX_FOLLOWED, MAX_ITEMS):
            await stream.created(
                *(job(tag, follow=True) for tag in range(start, start + MAX_ITEMS))
            )
        await stream.send(
            *(job(MAX_FOLLOWED + n, follow=True, unique_key=f"k{n}") for n in range(20)),
            job(-1, follow=True, queue="none"),
        )
        while len(stream.failures) < 20:
            await stream.read()
            known = {r.created.job.id for r in stream.results.values()}
            assert set(stream.failures) <= known, "a failure came before its job"
        assert {reason(error) for error in stream.failures.values()} == {"STREAM_LIMIT"}
        assert stream.results[-1].HasField("error")
        # Those that it leaves make room.
        left, refused = stream.results[0].created.job.id, next(iter(stream.failures))
        await stream.send(unfollow_job_ids=[left])
        await stream.send(follow_job_ids=[refused])
        assert (await stream.update()).job_id == refused


async def test_jobs_that_wait_for_their_keys_leave_room_in_the_pool(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with submit(jobs) as stream, submit(jobs) as other:
        async with sql.transaction():
            insert = "INSERT INTO held_key SELECT 'q', 'k' || n, gen_random_uuid() FROM "
            await sql.execute(insert + "generate_series(0, 99) AS n")
            for n in range(50):
                await stream.send(job(n, unique_key=f"k{n}"))
                await other.send(job(n, unique_key=f"k{50 + n}"))
            await eventually(lambda: sql.fetchval(waiting), what="a job that waits for its key")
            for _ in range(20):
                await asyncio.wait_for(create(), 15)
            await sql.execute("DELETE FROM held_key WHERE job_id NOT IN (SELECT id FROM job)")
        for each in (stream, other):
            while len(each.results) < 50:
                await each.read()
            assert all(r.HasField("created") for r in each.results.values())


async def test_requests_with_nothing_in_them_keep_nobody_waiting(
    jobs: JobServiceStub, create: Create, channel: aio.Channel
) -> None:
    stop = asyncio.Event()
    async with submit(jobs) as stream:

        async def write() -> None:
            while not stop.is_set():
                await stream.send()

        writing = asyncio.create_task(write())
        for _ in range(20):
            await asyncio.wait_for(create(), 15)
        stop.set()
        await writing
        (result,) = await stream.created(job(1))
    assert result.HasField("created")


async def test_request_is_served_in_slices(channel: aio.Channel) -> None:
    sent = [
        job(tag, labels={"n": str(tag)}, input={"json_text": f'{{"a": "{"x" * 4000}"}}'})
        for tag in range(MAX_ITEMS)
    ]
    # On this loop, which is the server's, it is not encoded.
    request = pb.SubmitRequest(jobs=sent).SerializeToString()
    call = channel.stream_stream("/jobsvc.v1.JobService/Submit")()
    await call.read()
    await call.write(b"")
    count = 0
    async with loop_watched() as passes:
        await call.write(request)
        while count < MAX_ITEMS:
            count += len(pb.SubmitResponse.FromString(await call.read()).results)
    call.cancel()
    assert max(passes) < sum(passes) / 5, sorted(passes)


@pytest.mark.parametrize("seed", range(3))
async def test_end_of_each_followed_job_comes_once_after_its_result(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, seed: int
) -> None:
    """Whatever order creations, leases, reports and follows come in."""
    random_ = random.Random(seed)
    followed: set[str] = set()
    ids = [(await create()).id for _ in range(40)]
    request_ids = [str(uuid4()) for _ in range(30)]
    ends: dict[str, int] = {}
    async with submit(jobs) as stream:
        tag = 0
        #: Whether each job is followed, and those whose end must come once only.
        pending: dict[int, bool] = {}
        alone: set[int] = set()

        async def requests() -> None:
            nonlocal tag
            for _ in range(120):
                sent = []
                for _ in range(random_.choice((0, 1, 1, 5, 30))):
                    tag += 1
                    fields: dict[str, Any] = {}
                    if random_.random() < 0.2:
                        fields["request_id"] = random_.choice(request_ids)
                    elif random_.random() < 0.2:
                        fields["unique_key"] = random_.choice("abc")
                    else:
                        alone.add(tag)
                    pending[tag] = random_.random() < 0.7
                    sent.append(job(tag, follow=pending[tag], **fields))
                follow = random_.sample(ids, random_.choice((0, 0, 1, 5)))
                # Left for a moment only: followed at the end.
                again = random_.sample(sorted(followed), min(len(followed), 2))
                followed.update(follow)
                await stream.send(*sent, follow_job_ids=follow)
                if again:
                    await stream.send(unfollow_job_ids=again)
                    await stream.send(follow_job_ids=again)
                await asyncio.sleep(random_.choice((0, 0, 0.01)))  # Another order.

        async def work() -> None:
            idle = 0
            while idle < 3:
                leases = await lease_all(workers, random_.choice((1, 20, 100)))
                random_.shuffle(leases)
                if leases:
                    await report(workers, *map(success, leases))
                idle = idle + 1 if sending.done() and not leases and not missing() else 0
                await asyncio.sleep(0 if leases else 0.02)  # Between two tries.

        def missing() -> set[int]:
            return set(pending) - set(stream.results)

        async def read() -> None:
            while True:
                await stream.read()
                for update in stream.updates:
                    if update.status.state in _ENDED:
                        ends[update.job_id] = ends.get(update.job_id, 0) + 1
                        known = {r.created.job.id for r in stream.results.values()}
                        assert update.job_id in known | set(ids), "the end came before the result"
                stream.updates.clear()

        def wanted() -> set[str]:
            created = {stream.results[t].created.job.id for t, f in pending.items() if f}
            return created | followed

        reading = asyncio.create_task(read())
        sending = asyncio.create_task(requests())
        await asyncio.gather(sending, work())
        await eventually(
            lambda: wanted() - set(ends), lambda lost: not lost, seconds=30, what="all ends"
        )
        assert not reading.done()
        reading.cancel()
    assert stream.failures == {}
    # A job that is found or followed after its end is told of again.
    assert {ends[stream.results[t].created.job.id] for t in alone if pending[t]} == {1}
