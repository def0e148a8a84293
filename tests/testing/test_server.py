"""The server under test: what its clock moves, and what its aids do."""

import asyncio
import threading
from datetime import timedelta

import pytest

from jobsvc.client import CallFailed, JobNotFound, NewJob
from jobsvc.testing import AsyncJobServer, JobServer
from jobsvc.worker import Context, Release, Retry, RetryPolicy, Worker, processor

RUNS: list[str] = []
GATE = threading.Event()


@processor("once", retry=RetryPolicy(max_attempts=3, initial_backoff=100))
async def once(job: dict[str, str], context: Context) -> dict[str, int]:
    RUNS.append(context.job_id)
    if job.get("fails"):
        raise Retry("again")
    return {"attempt": context.attempt}


@processor("never")
async def never() -> None:
    raise Release(delay=0)


@processor("held", attempt_timeout=3600)
def held(context: Context) -> dict[str, bool]:
    while not GATE.wait(0.01) and not context.cancelled:
        pass
    return {"cancelled": context.cancelled}


def test_each_test_has_a_database_of_its_own(jobsvc_server: JobServer) -> None:
    with jobsvc_server.client() as client:
        assert client.queue_stats() == []
        client.create_queue("mine")


def test_so_this_one_sees_nothing_of_the_one_before(jobsvc_server: JobServer) -> None:
    with jobsvc_server.client() as client:
        assert client.queue_stats() == []


def test_schedule_comes_with_the_clock(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client() as client:
        at = jobsvc_server.now() + timedelta(days=30)
        job = client.create("once", {}, schedule_time=at)
        assert jobsvc_server.drain(once).waiting == 1
        jobsvc_server.advance(days=29)
        assert jobsvc_server.drain(once).waiting == 1
        jobsvc_server.advance(days=1)
        assert jobsvc_server.drain(once).completed == 1
        done = client.get(job.id)
    assert done.schedule_time == at, "as it was asked for"
    assert done.status.start_time is not None
    assert done.status.start_time >= at


def test_retries_come_with_the_clock(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client() as client:
        job = client.create("once", {"fails": "yes"})
        assert jobsvc_server.drain(once).waiting == 1
        assert client.get(job.id).status.wait_reason == "RETRY_DELAY"
        jobsvc_server.advance(seconds=79)  # A fifth less than the backoff is the earliest.
        assert jobsvc_server.drain(once).waiting == 1
        jobsvc_server.advance(seconds=42)
        jobsvc_server.drain(once)
        assert client.get(job.id).status.attempt == 2
        drained = jobsvc_server.drain(once, with_scheduled=True)
    assert (drained.failed, drained.waiting) == (1, 0)
    assert jobsvc_server.wait_for(job.id, "FAILED").status.attempt == 3


def test_expiry_and_start_deadline_come_with_the_clock(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client() as client:
        expiring = client.create("once", {}, ttl=timedelta(hours=2))
        starting = client.create("once", {}, start_within=timedelta(hours=1))
        jobsvc_server.advance(hours=1)
        ended = client.get(starting.id).status
        assert ended.error is not None
        assert ended.error.reason == "START_DEADLINE"
        assert client.get(expiring.id).state == "PENDING"
        jobsvc_server.advance(hours=1)
        ended = client.get(expiring.id).status
        assert ended.error is not None
        assert ended.error.reason == "JOB_EXPIRED"
        with pytest.raises(CallFailed, match="before it may first run"):
            client.create("once", {}, expire_time=jobsvc_server.now() - timedelta(minutes=1))


def test_retention_and_request_ids_end_with_the_clock(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    request = NewJob("once", {}, retention=timedelta(hours=1))
    with jobsvc_server.client() as client:
        [job] = client.create_many([request])
        jobsvc_server.drain(once)
        jobsvc_server.advance(minutes=59)
        assert client.get(job.id).succeeded
        jobsvc_server.advance(minutes=1)
        with pytest.raises(JobNotFound):
            client.get(job.id)
        assert client.create_many([request])[0].existing, "remembered for 24 hours"
        jobsvc_server.advance(hours=24)
        assert not client.create_many([request])[0].existing


def test_pause_ends_with_the_clock(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client() as client:
        client.pause_queue("once", duration=timedelta(hours=1))
        job = client.create("once", {})
        assert client.get(job.id).status.wait_reason == "QUEUE_PAUSED"
        jobsvc_server.advance(hours=1)
        assert jobsvc_server.drain(once).completed == 1


def test_lists_by_time_find_jobs_of_every_time(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client() as client:
        first = client.create("once", {})
        jobsvc_server.advance(days=2)
        middle = jobsvc_server.now() - timedelta(days=1)
        second = client.create("once", {})
        assert [job.id for job in client.list_jobs(create_time_from=middle)] == [second.id]
        assert [job.id for job in client.list_jobs(create_time_until=middle)] == [first.id]
        assert [job.id for job in client.list_jobs()] == [second.id, first.id]


async def test_running_job_lives_through_a_step_and_ends_at_its_deadline(
    async_jobsvc_server: AsyncJobServer,
) -> None:
    GATE.clear()
    server = async_jobsvc_server
    async with Worker([held], target=server.target) as worker, server.client() as client:
        await worker.wait_subscribed()
        job = await client.create("held")
        begun = await server.wait_for(job.id, "PROCESSING")
        await server.advance(minutes=59)
        await asyncio.sleep(4)  # Longer than a lease under test, and the looks for lost ones.
        [worker_seen] = await client.list_workers()
        assert worker_seen.id == worker.id
        assert (await server.find(job.id)).status.attempt == begun.status.attempt  # type: ignore[union-attr]
        assert (await server.find(job.id)).state == "PROCESSING"  # type: ignore[union-attr]
        GATE.set()
        assert (await server.wait_for(job.id)).output == {"cancelled": False}
        GATE.clear()
        second = await client.create("held", retention=3600, ttl=timedelta(days=1))
        await server.wait_for(second.id, "PROCESSING")
        await server.advance(minutes=61)
        ended = await server.wait_for(second.id, "PENDING", seconds=30)
        assert ended.status.error is not None
        assert ended.status.error.reason == "ATTEMPT_TIMEOUT"
        GATE.set()


def test_drain_says_what_became_of_the_jobs(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client(session_id="s-1") as client:
        jobs = client.create_many([NewJob("once", {}) for _ in range(20)])
    with jobsvc_server.client() as client:
        client.create("once", {}, delay=60)
        client.create("once", {"fails": "yes"}, priority=-1)
    drained = jobsvc_server.drain(once)
    assert (drained.completed, drained.failed, drained.waiting) == (20, 0, 2)
    assert {job.id for job in jobs} <= set(RUNS)
    assert jobsvc_server.drain(once).completed == 0, "since the drain began"


def test_drain_of_jobs_that_never_end_ends(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(never)
    with jobsvc_server.client() as client:
        client.create("never")
    with pytest.raises(TimeoutError):
        jobsvc_server.drain(never, with_scheduled=True, seconds=2)


def test_job_of_somebody_else_is_found_and_waited_for(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client(session_id="s-1") as client:
        job = client.create("once", {})
    found = jobsvc_server.find(job.id)
    assert found is not None
    assert found.has_session
    jobsvc_server.drain(once)
    assert jobsvc_server.wait_for(job.id).output == {"attempt": 1}
    assert jobsvc_server.find("00000000-0000-7000-8000-000000000000") is None


def test_wait_that_is_in_vain_says_why(jobsvc_server: JobServer) -> None:
    jobsvc_server.declare(once)
    with jobsvc_server.client() as client:
        job = client.create("once", {})
        with pytest.raises(AssertionError, match="is not COMPLETED: it is PENDING after 0 att"):
            jobsvc_server.wait_for(job.id, seconds=0.1)
        client.cancel(job.id)
        with pytest.raises(AssertionError, match="is not COMPLETED: it is CANCELLED"):
            jobsvc_server.wait_for(job.id)
    with pytest.raises(AssertionError, match="there is no job"):
        jobsvc_server.wait_for("00000000-0000-7000-8000-000000000000")


def test_clock_does_not_go_back(jobsvc_server: JobServer) -> None:
    before = jobsvc_server.now()
    with pytest.raises(ValueError, match="forward"):
        jobsvc_server.advance(days=-1)
    assert jobsvc_server.now() >= before


async def test_blocking_server_says_when_it_is_the_wrong_one(jobsvc_server: JobServer) -> None:
    with pytest.raises(RuntimeError, match="running event loop"):
        jobsvc_server.now()
