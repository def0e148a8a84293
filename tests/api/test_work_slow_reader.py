"""Workers that read slowly: what they have not been sent is not held against the jobs."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.dispatch.planner import MAX_CLAIM_SIZE, UNKNOWN_SIZE
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import HandStream, create_many, work
from tests.support.probe import eventually, until_still
from tests.support.settings import TEST_SETTINGS

pytestmark = pytest.mark.usefixtures("queue")

#: As many as are leased at once of a queue that is not known. Each takes a frame of its own, and
#: all of them more than a connection takes.
_JOBS = MAX_CLAIM_SIZE // UNKNOWN_SIZE
_LARGE = Payload(json_text='{"a": "' + "x" * 250_000 + '"}')


async def _create(jobs: JobServiceStub) -> list[str]:
    ids = []
    for _ in range(_JOBS // 16):
        ids += await create_many(jobs, 16, input=_LARGE)
    return ids


async def test_responses_come_between_dispatches(
    channel: aio.Channel, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    await _create(jobs)
    seen: list[str] = []
    reported = 0
    async with work(channel, window=_JOBS, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        while seen.count("outcome_results") < _JOBS:
            frame = await stream.read()
            seen.append(str(frame.WhichOneof("frame")))
            if frame.HasField("dispatch"):
                await stream.acknowledge()
                outcomes = [success(lease) for lease in frame.dispatch.leases]
                await stream.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=outcomes))
                reported += len(outcomes)
            if len(seen) == 10:
                # Nothing is read while the server writes down what it was told.
                await eventually(lambda: _results(sql), lambda n, r=reported: n == r)
    assert "outcome_results" in seen[: _JOBS // 2]


async def test_what_was_not_sent_before_the_stream_broke_has_not_been_returned(
    channel: aio.Channel, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    *_, last = await _create(jobs)
    for _ in range(3):
        async with work(
            channel, window=_JOBS, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT
        ) as stream:
            await stream.dispatched()

    async def redeliveries() -> int | None:
        row = await sql.fetchrow("SELECT redeliveries FROM waiting WHERE job_id = $1", last)
        return None if row is None else int(row["redeliveries"])

    assert await eventually(redeliveries, lambda found: found is not None) == 0


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, acknowledge_seconds=60.0)])
async def test_what_waits_too_long_to_be_sent_goes_back(
    channel: aio.Channel, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    await _create(jobs)
    async with work(
        channel,
        window=_JOBS,
        lease_duration=Duration(seconds=5),
        payload_encoding=PAYLOAD_ENCODING_JSON_TEXT,
    ) as stream:
        got = len(await stream.dispatched())
        await stream.set_window(0)

        # Nothing is read meanwhile: the server is stuck in its write.
        back = await eventually(lambda: _waiting(sql))
        assert 0 < len(back) <= _JOBS - got
        assert set(back) == {(0, 0)}


async def test_what_has_not_been_sent_goes_back_when_the_server_leaves(
    channel: aio.Channel, server: Replica, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    await _create(jobs)
    async with work(channel, window=_JOBS, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        await stream.dispatched()
        draining = asyncio.create_task(server.drain())
        back = await eventually(lambda: _waiting(sql), lambda found: len(found) > _JOBS // 2)
        assert set(back) == {(0, 0)}
    await draining


async def test_what_has_not_been_sent_is_not_returned_by_the_next_stream(
    channel: aio.Channel, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    await _create(jobs)
    async with work(channel, window=_JOBS, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        await stream.dispatched()
        async with work(channel, window=0, resume_token=stream.token):
            back = await eventually(lambda: _waiting(sql), lambda found: len(found) == _JOBS)
            # Few had been sent: the connection took no more.
            assert back.count((0, 0)) > _JOBS // 2


# It acknowledges nothing, and may need long to read what has piled up.
@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, acknowledge_seconds=60.0)])
async def test_worker_that_speaks_and_never_reads_gets_no_more_than_once(
    channel: aio.Channel, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    extended = "SELECT max(until) FROM lease"
    await create_many(jobs, 1000)
    async with work(
        channel,
        window=1000,
        worker_id="stuck",
        max_dispatch_leases=1000,
        lease_duration=Duration(seconds=21),
    ) as stuck:
        leases: list[pb.JobLease] = []
        while len(leases) < 1000:
            leases += await stuck.dispatched()
        extensions = pb.ExtendLeasesRequest(
            extensions=[pb.LeaseExtension(lease_id=lease.lease_id) for lease in leases]
        )

        heard = asyncio.Event()

        async def speak() -> None:
            while not heard.is_set():
                await stuck.send(extend_leases=extensions)

        speaking = asyncio.create_task(speak())
        # The server is stuck in writing responses, so it reads no more of this worker.
        await until_still(lambda: sql.fetchval(extended))
        await workers.ReportOutcomes(
            pb.ReportOutcomesRequest(worker_id="stuck", outcomes=list(map(success, leases[:500])))
        )
        async with work(channel, window=100, worker_id="well") as well, asyncio.timeout(40):
            ids = set(await create_many(jobs, 64))
            while ids:
                ids -= {lease.job_id for lease in await well.dispatched()}
        heard.set()
        await create_many(jobs, 1)
        async with asyncio.timeout(40):
            while not (await stuck.read()).HasField("dispatch"):
                pass
        await speaking


async def test_worker_that_did_not_read_is_told_why_its_stream_ended(
    channel: aio.Channel, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    await _create(jobs)
    async with work(channel, window=_JOBS, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        await stream.dispatched()
        await eventually(lambda: sql.fetchval("SELECT count(*) FROM lease"), lambda n: n == _JOBS)
        async with work(channel, window=0, resume_token=stream.token):
            assert (await refused(_read_on(stream))).what[1] == "WORKER_REPLACED"


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, poll_interval_seconds=60.0)])
async def test_no_more_is_leased_for_a_worker_that_does_not_read(
    channel: aio.Channel, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    ids = [job_id for _ in range(3) for job_id in await _create(jobs)]
    async with work(
        channel, window=len(ids), payload_encoding=PAYLOAD_ENCODING_JSON_TEXT
    ) as stream:
        got = await stream.dispatched()
        # Whoever reads is served meanwhile, with a claim for each job.
        async with work(channel, worker_id="w2", window=1) as other:
            for _ in range(5):
                got += (leases := await other.dispatched())
                assert await other.report(*map(success, leases)) == [OK]
        assert len(await _waiting(sql)) > _JOBS
        while len(got) < len(ids):
            got += await stream.dispatched()
    assert {lease.job_id for lease in got} == set(ids)


async def _read_on(stream: HandStream) -> None:
    while True:
        await stream.read()


async def _results(sql: asyncpg.Connection) -> int:
    """How many jobs have ended."""
    return int(await sql.fetchval("SELECT count(*) FROM result"))


async def _waiting(sql: asyncpg.Connection) -> list[tuple[int, int]]:
    """Attempts and redeliveries of each waiting job."""
    return [tuple(row) for row in await sql.fetch("SELECT attempt, redeliveries FROM waiting")]
