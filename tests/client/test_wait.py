"""Waiting for the end of one job."""

import time
from typing import Any

import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, DeadlineExceeded, JobNotFound, Unavailable
from jobsvc.client.wait_deadline import WaitDeadline
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Failure, Peer
from tests.e2e.support.proxy import proxy

RUNNING = job_service_pb2.WaitJobResponse(job=job(job_pb2.JOB_STATE_PROCESSING, 2))
DONE = job_service_pb2.WaitJobResponse(
    job=job(job_pb2.JOB_STATE_COMPLETED, 3, output='{"words":3}')
)


async def test_a_wait_goes_on_until_the_job_has_ended(client: Any, peer: Peer) -> None:
    peer.answer("WaitJob", RUNNING, RUNNING, DONE)
    done = await client.wait(JOB_ID)
    assert done.output == {"words": 3}
    assert [request.timeout.seconds for request in peer.requests("WaitJob")] == [60, 60, 60]
    # gRPC rounds a deadline up on its way.
    assert all(60 < call.seconds_left < 72 for call in peer.calls)


async def test_a_timeout_is_no_error(client: Any, peer: Peer) -> None:
    peer.answer("WaitJob", RUNNING)
    assert not (await client.wait(JOB_ID, timeout=0)).ended


async def test_a_wait_outlives_a_restart(client: Any, peer: Peer) -> None:
    away = Failure(grpc.StatusCode.UNAVAILABLE)
    peer.answer("WaitJob", RUNNING, away, DONE)
    assert (await client.wait(JOB_ID)).succeeded


async def test_a_wait_over_a_restart_is_no_longer_than_its_timeout(client: Any, peer: Peer) -> None:
    away = Failure(grpc.StatusCode.UNAVAILABLE)
    peer.answer("WaitJob", away, away, DONE)
    assert (await client.wait(JOB_ID, timeout=5)).succeeded
    first, *_, last = (call.seconds_left for call in peer.calls)
    # gRPC rounds a deadline up on its way.
    assert 5.5 < first < 6.1
    # It sends the same request again, so that only the deadline says how long it may take.
    assert last < first - 0.2


async def test_a_wait_ends_with_its_timeout_on_a_dead_connection(server: Replica) -> None:
    async with proxy(server.port) as way, AsyncClient(way.target) as client:
        with pytest.raises(JobNotFound):
            await client.wait(JOB_ID)
        way.kill_silently()
        began = time.monotonic()
        with pytest.raises((DeadlineExceeded, Unavailable)):
            await client.wait(JOB_ID, timeout=0.5)
        assert 0.5 <= time.monotonic() - began < 5


async def test_the_given_clock_and_sleep_are_used(peer: Peer) -> None:
    now = 0.0
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        pauses.append(seconds)

    peer.answer("WaitJob", RUNNING, Failure(grpc.StatusCode.UNAVAILABLE))
    async with (
        aio.insecure_channel(peer.target) as channel,  # without retries of its own
        AsyncClient(channel=channel, clock=lambda: now, sleep=sleep) as client,
    ):
        with pytest.raises(Unavailable):
            await client.wait(JOB_ID, reconnect_seconds=30)
    # Only the pauses move this clock. The last one may begin just before the end.
    assert 30 <= sum(pauses) <= 36


async def test_a_wait_for_nothing_fails_at_once(client: Any, peer: Peer) -> None:
    peer.answer("WaitJob", Failure(grpc.StatusCode.NOT_FOUND, reason="JOB_NOT_FOUND"))
    with pytest.raises(JobNotFound):
        await client.wait(JOB_ID)


def test_calls_are_no_longer_than_what_is_left() -> None:
    deadline = WaitDeadline(100.0, now=1000.0)
    assert deadline.call_seconds(now=1000.0) == 60
    assert not deadline.passed(now=1060.0)
    assert deadline.call_seconds(now=1060.0) == 40
    assert deadline.passed(now=1100.0)
    assert deadline.call_seconds(now=1200.0) == 0


def test_calls_are_answered_soon_after_the_end() -> None:
    deadline = WaitDeadline(100.0, now=1000.0)
    assert deadline.answer_seconds(now=1000.0, timeout=10) == 70
    assert deadline.answer_seconds(now=1060.0, timeout=10) == 41
    assert deadline.answer_seconds(now=1100.0, timeout=10) == 1
    assert deadline.answer_seconds(now=1200.0, timeout=10) == 1
    assert deadline.answer_seconds(now=1100.0, timeout=0.5) == 0.5
    assert WaitDeadline(None, now=1000.0).answer_seconds(now=1e9, timeout=10) == 70


def test_a_wait_without_a_timeout_is_never_over() -> None:
    deadline = WaitDeadline(None, now=1000.0)
    assert deadline.time is None
    assert deadline.call_seconds(now=1e9) == 60
    assert not deadline.passed(now=1e9)
