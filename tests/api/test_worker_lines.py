"""The log says which workers come, drain, leave and are lost, and with which jobs."""

import asyncio
import json
import logging
import re
from contextlib import AsyncExitStack

import asyncpg
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.event_log import MAX_LINES
from jobsvc.tracing.json_log import JsonFormatter
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.worker import release
from tests.api.support.worker_stream import answered, create_many, work
from tests.support.probe import eventually


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobsvc")


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """The lines about an event."""
    return [r.getMessage() for r in caplog.records if getattr(r, "event", "") == event]


async def line(caplog: pytest.LogCaptureFixture, event: str) -> str:
    """The only line about an event, once it is there."""
    (text,) = await eventually(lambda: lines(caplog, event), what=event)
    return text


async def test_worker_connects_drains_and_leaves(
    channel: aio.Channel, queue: str, jobs: JobServiceStub, caplog: pytest.LogCaptureFixture
) -> None:
    (job_id,) = await create_many(jobs, 1)
    async with work(channel, window=7) as stream:
        text = await line(caplog, "worker_connected")
        assert re.fullmatch(
            r"worker w1 \(no version named\) connected from ipv[46]:\S+: window 7, queues q;"
            " it holds no job",
            text,
        )
        (lease,) = await stream.dispatched()
        await stream.set_window(0)
        await answered(stream)
        await stream.set_window(0)
        await stream.report(release(lease))
        await stream.leave()
    assert await line(caplog, "worker_drains") == (
        f"worker w1 drains: it takes no more jobs, and holds 1 job ({job_id})"
    )
    left = await line(caplog, "worker_left")
    assert left == "worker w1 left; it held no job; 1 were handed back"
    assert lines(caplog, "worker_lost") == []


async def test_lost_worker_is_named_with_its_jobs_and_their_end(
    channel: aio.Channel,
    queue: str,
    jobs: JobServiceStub,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job_ids = await create_many(jobs, 7)
    async with work(channel) as stream:
        await stream.dispatched()
        await answered(stream)
    text = await line(caplog, "worker_lost")
    named = ", ".join(job_ids[:5])
    found = re.fullmatch(
        rf"worker w1 is lost: its stream broke off; it held 7 jobs \({named} and 2 more\);"
        r" the leases of 7 end by (\d\d:\d\d:\d\d) unless it comes back",
        text,
    )
    assert found, text
    [record] = [r for r in caplog.records if getattr(r, "event", "") == "worker_lost"]
    fields = json.loads(JsonFormatter().format(record))
    assert (fields["level"], fields["worker_id"], fields["job_count"]) == ("WARNING", "w1", 7)
    assert fields["job_ids"] == job_ids[:5]
    assert "ipv" in fields["peer"]
    (late,) = await sql.fetch(
        "SELECT max(until) <= $1::text::timestamptz + interval '1 second' AS held,"
        " max(until) > $1::text::timestamptz - interval '20 seconds' AS near FROM lease",
        fields["leases_end_by"],
    )
    assert (late["held"], late["near"]) == (True, True)


async def test_jobs_that_did_not_arrive_are_told_apart(
    channel: aio.Channel, queue: str, jobs: JobServiceStub, caplog: pytest.LogCaptureFixture
) -> None:
    await create_many(jobs, 2)
    async with work(channel) as stream:
        await stream.dispatched(acknowledge=False)
    text = await line(caplog, "worker_lost")
    assert "; 2 that it may not have received go back by " in text
    assert "the leases of" not in text


async def test_second_stream_of_a_worker_replaces_the_first(
    channel: aio.Channel, queue: str, jobs: JobServiceStub, caplog: pytest.LogCaptureFixture
) -> None:
    kept, forgotten = await create_many(jobs, 2)
    async with work(channel) as first:
        leases = await first.dispatched()
        await answered(first)
        held = [lease.lease_id for lease in leases if lease.job_id == kept]
        async with work(channel, window=0, held_lease_ids=held, resume_token=first.token):
            assert await line(caplog, "worker_forgot") == (
                f"worker w1 begins without 1 job ({forgotten}) that it had;"
                " they go back to their queues"
            )
            replaced = await line(caplog, "worker_replaced")
            assert replaced.startswith("worker w1 has another stream; this one held 2 jobs")
            await eventually(lambda: len(lines(caplog, "worker_connected")) == 2)
            assert lines(caplog, "worker_connected")[1].endswith(f"it holds 1 job ({kept})")
    assert lines(caplog, "worker_left") == []


async def test_refused_worker_is_told_with_the_reason(
    channel: aio.Channel, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with work(channel) as stream:
        await stream.set_window(-1)
        await stream.refusal()
    assert await line(caplog, "worker_refused") == (
        "worker w1 was refused: set_window: window: must be between 0 and 10000, not -1; "
        "it held no job"
    )


async def test_drain_says_how_much_there_is_to_wait_for(
    server: Replica,
    channel: aio.Channel,
    queue: str,
    jobs: JobServiceStub,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await create_many(jobs, 2)
    async with work(channel) as stream:
        leases = await stream.dispatched()
        await answered(stream)
        draining = asyncio.create_task(server.drain())
        await stream.frame("drain")
        assert "draining: 1 workers hold 2 jobs and have " in caplog.text
        await stream.report(*map(release, leases))
        await draining
        await stream.refusal()
    assert await line(caplog, "worker_sent_away") == (
        "worker w1 was sent away; it held no job; 2 were handed back"
    )


async def test_200_workers_at_once_are_a_few_lines(
    server: Replica, channel: aio.Channel, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        await asyncio.gather(
            *(stack.enter_async_context(work(channel, worker_id=f"w{n}")) for n in range(200))
        )
        assert len(lines(caplog, "worker_connected")) <= 2 * MAX_LINES
    await eventually(lambda: lines(caplog, "worker_lost"))
    await eventually(
        lambda: re.findall(r"and (\d+) more \(worker_connected\)", caplog.text), seconds=20
    )
    for event in ("worker_connected", "worker_lost"):
        assert len(lines(caplog, event)) <= 2 * (MAX_LINES + 1)
