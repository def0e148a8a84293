"""Workers that report more than the database takes: they are read no further, and that is not held
against them."""

import asyncio
from dataclasses import replace

import asyncpg
import pytest
from grpc import aio

from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import HandStream, create_many, work
from tests.support.probe import eventually, until_still
from tests.support.settings import TEST_SETTINGS

_LARGE = '{"a": "' + "x" * 250_000 + '"}'
_REPORTS = 24


class _Reporting:
    """Reports of 3.5 MB each, one after the other, and an acknowledgement of all that came before.

    Their leases never existed, so a response only shows that its report was read.
    """

    def __init__(self, stream: HandStream, lease: pb.JobLease) -> None:
        self._stream = stream
        output = success(lease, _LARGE).success
        self._report = pb.ReportOutcomesRequest(
            outcomes=[
                pb.JobOutcome(lease_id=f"{lease.job_id}.{10**9 + n}", success=output)
                for n in range(14)
            ]
        )
        self.sent = 0
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        for _ in range(_REPORTS):
            await self._stream.send(report_outcomes=self._report)
            self.sent += 1
        await self._stream.acknowledge()

    async def until_stuck(self) -> None:
        """Goes as far as the server lets it: that reads 16 MiB, and the connection takes some."""

        async def sent() -> int:
            return self.sent

        await until_still(sent)
        assert self.sent < 16

    async def until_answered(self) -> None:
        """All are sent, and each is answered."""
        for _ in range(_REPORTS):
            assert len((await self._stream.frame("outcome_results")).results) == 14
        await self.task


async def test_worker_is_read_no_further_while_the_database_does_not_take_what_it_reported(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
            reporting = _Reporting(stream, lease)
            await reporting.until_stuck()
        await reporting.until_answered()
        assert await stream.report(success(lease)) == [OK]


async def test_worker_that_reports_before_it_reads_is_read_on(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    for _ in range(4):
        await create_many(jobs, 16, input=Payload(json_text=_LARGE))
    async with work(channel, window=64, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT) as stream:
        (lease,) = await stream.dispatched()
        # All of them are more than the connection takes: the server gets stuck in its write.
        await eventually(lambda: sql.fetchval("SELECT count(*) FROM lease"), lambda n: n == 64)
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
            reporting = _Reporting(stream, lease)
            await reporting.until_stuck()
        await asyncio.wait_for(reporting.task, 20)


@pytest.mark.parametrize(
    "settings", [replace(TEST_SETTINGS, pool_size=20, acknowledge_seconds=3.0)]
)
async def test_worker_that_is_not_read_is_not_taken_for_deaf(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    async with (
        work(channel) as stream,
        work(channel, worker_id="deaf", queues=("other",)) as deaf,
    ):
        (lease,) = await stream.dispatched()
        async with sql.transaction():
            await sql.execute("LOCK TABLE result IN ACCESS EXCLUSIVE MODE")
            reporting = _Reporting(stream, lease)
            await reporting.until_stuck()
            await create()
            # The acknowledgement stands behind the reports.
            (other,) = await stream.dispatched(acknowledge=False)
            await create(queue="other")
            await deaf.dispatched(acknowledge=False)
            # It got its job later: whoever else is taken for deaf has been by now.
            assert (await deaf.refusal()).reason == "WORKER_DEAF"
            assert not reporting.task.done()
        await reporting.until_answered()
        assert await stream.report(success(lease), success(other)) == [OK, OK]
