"""Watching jobs by a filter over a stream that breaks, repeats itself and falls silent."""

from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from jobsvc.client import InvalidRequest, JobState, Unavailable
from jobsvc.v1 import job_pb2, job_service_pb2
from jobsvc.v1.job_service_pb2 import JobFilter, WatchJobsResponse
from tests.client.support import messages
from tests.client.support.messages import JOB_ID, OTHER_ID
from tests.client.support.peer import HANG, Failure, Peer

PENDING = job_pb2.JOB_STATE_PENDING
PROCESSING = job_pb2.JOB_STATE_PROCESSING
COMPLETED = job_pb2.JOB_STATE_COMPLETED
DRAINING = Failure(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")
SLOW = Failure(grpc.StatusCode.UNAVAILABLE, reason="SLOW_CONSUMER")


def update(*fields: Any, bookmark: str = "") -> WatchJobsResponse:
    return WatchJobsResponse(update=messages.update(*fields).update, bookmark=bookmark)


def synced(bookmark: str) -> WatchJobsResponse:
    return WatchJobsResponse(synced=job_service_pb2.StreamSynced(), bookmark=bookmark)


def heartbeat(bookmark: str) -> WatchJobsResponse:
    return WatchJobsResponse(heartbeat=job_pb2.StreamHeartbeat(), bookmark=bookmark)


async def watch(client: Any, count: int, **options: Any) -> list[tuple[str, int]]:
    """The first updates."""
    seen: list[tuple[str, int]] = []
    async with aclosing(client.watch(**options)) as updates:
        async for each in updates:
            seen.append((each.job_id, each.status.version))
            if len(seen) == count:
                break
    return seen


async def test_updates_are_yielded_as_they_come(client: Any, peer: Peer) -> None:
    peer.answer("WatchJobs", [update(PENDING, 1), synced("1"), update(PROCESSING, 2), HANG])
    told: list[str] = []
    async with aclosing(client.watch(on_synced=lambda: told.append("synced"))) as updates:
        first = await anext(updates)
        assert (first.job_id, first.queue, first.status.state) == (
            JOB_ID,
            "news",
            JobState.PENDING,
        )
        assert told == []
        assert (await anext(updates)).status.state is JobState.PROCESSING
        assert told == ["synced"]


async def test_request_says_what_is_wanted(client: Any, peer: Peer) -> None:
    peer.answer("WatchJobs", [update(PENDING, 1), HANG])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    await watch(
        client,
        1,
        full=True,
        changes_only=True,
        heartbeat_seconds=7.0,
        queues=["a", "b"],
        states=["FAILED"],
        labels={"k": "v"},
        own_user=True,
        create_time_from=start,
    )
    [request] = peer.requests("WatchJobs")
    wanted = JobFilter(
        queues=["a", "b"], states=[job_pb2.JOB_STATE_FAILED], labels={"k": "v"}, own_user=True
    )
    wanted.create_time_from.FromDatetime(start)
    assert request.filter == wanted
    assert request.view == job_pb2.JOB_VIEW_FULL
    assert request.changes_only
    assert request.heartbeat_interval.seconds == 7
    assert request.bookmark == ""


@pytest.mark.parametrize("end", [DRAINING, SLOW, None])
async def test_broken_stream_goes_on_after_its_last_bookmark(
    client: Any, peer: Peer, end: Failure | None
) -> None:
    first = [update(PENDING, 1), synced("one"), update(PROCESSING, 2, bookmark="two")]
    peer.answer(
        "WatchJobs",
        [*first, update(PENDING, 1, OTHER_ID), *([end] if end else [])],
        [update(PROCESSING, 2), update(PENDING, 1, OTHER_ID), heartbeat("three"), DRAINING],
        [update(PROCESSING, 2, OTHER_ID), synced("four"), HANG],
    )
    told: list[int] = []
    seen = await watch(client, 4, on_synced=lambda: told.append(1))
    assert seen == [(JOB_ID, 1), (JOB_ID, 2), (OTHER_ID, 1), (OTHER_ID, 2)]
    assert [r.bookmark for r in peer.requests("WatchJobs")] == ["", "two", "three"]
    assert told == [1]


async def test_first_round_that_broke_begins_anew(client: Any, peer: Peer) -> None:
    peer.answer(
        "WatchJobs",
        [update(PENDING, 1), DRAINING],
        [update(PENDING, 1), update(PENDING, 1, OTHER_ID), synced("one"), HANG],
    )
    assert await watch(client, 2) == [(JOB_ID, 1), (OTHER_ID, 1)]
    assert [r.bookmark for r in peer.requests("WatchJobs")] == ["", ""]


async def test_lower_version_is_news(client: Any, peer: Peer) -> None:
    """The database went back."""
    peer.answer("WatchJobs", [update(PENDING, 5), update(PENDING, 5), update(PENDING, 3), HANG])
    assert await watch(client, 2) == [(JOB_ID, 5), (JOB_ID, 3)]


async def test_refusal_is_raised(client: Any, peer: Peer) -> None:
    peer.answer("WatchJobs", [Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_REQUEST")])
    with pytest.raises(InvalidRequest):
        await watch(client, 1)


async def test_server_that_stays_away_is_told(client: Any, peer: Peer) -> None:
    peer.answer("WatchJobs", [update(PENDING, 1), DRAINING], [DRAINING])
    with pytest.raises(Unavailable):
        await watch(client, 2, reconnect_seconds=0.5)


async def test_unknown_state_is_a_value_error(client: Any, peer: Peer) -> None:
    with pytest.raises(ValueError, match="NEVER"):
        await watch(client, 1, states=["NEVER"])
    assert peer.calls == []
