"""Following jobs over a stream that breaks, repeats itself and falls silent."""

import asyncio
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from jobsvc.client import AsyncClient, JobNotOwned, JobState, Unavailable
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, OTHER_ID, update
from tests.client.support.peer import HANG, Failure, Peer

PENDING = job_pb2.JOB_STATE_PENDING
PROCESSING = job_pb2.JOB_STATE_PROCESSING
COMPLETED = job_pb2.JOB_STATE_COMPLETED
FAILED = job_pb2.JOB_STATE_FAILED
SYNCED = job_service_pb2.StreamJobStatusResponse(synced=job_service_pb2.StreamSynced())
HEARTBEAT = job_service_pb2.StreamJobStatusResponse(heartbeat=job_pb2.StreamHeartbeat())
DRAINING = Failure(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")


async def follow(client: Any, *job_ids: str, **options: Any) -> list[tuple[str, int]]:
    updates = client.follow(job_ids, **options)
    return [(each.job_id, each.status.version) async for each in updates]


async def test_each_status_is_seen_until_all_have_ended(client: Any, peer: Peer) -> None:
    peer.answer(
        "StreamJobStatus",
        [
            update(PENDING, 1),
            update(PENDING, 1, OTHER_ID),
            SYNCED,
            HEARTBEAT,
            update(PROCESSING, 3),
            update(FAILED, 2, OTHER_ID),
            update(COMPLETED, 4, output='{"words":3}'),
        ],
    )
    seen = [each async for each in client.follow([JOB_ID, OTHER_ID, JOB_ID])]
    assert [(each.job_id, each.status.version) for each in seen] == [
        (JOB_ID, 1),
        (OTHER_ID, 1),
        (JOB_ID, 3),
        (OTHER_ID, 2),
        (JOB_ID, 4),
    ]
    assert seen[-1].queue == "news"
    assert seen[-1].status.state is JobState.COMPLETED
    assert seen[-1].status.output == {"words": 3}
    [request] = peer.requests("StreamJobStatus")
    assert list(request.job_ids) == [JOB_ID, OTHER_ID]
    assert request.heartbeat_interval.seconds == 15


async def test_a_repeated_status_is_dropped(client: Any, peer: Peer) -> None:
    script = [update(PENDING, 5), update(PENDING, 5), update(COMPLETED, 6)]
    peer.answer("StreamJobStatus", script)
    assert await follow(client, JOB_ID) == [(JOB_ID, 5), (JOB_ID, 6)]


@pytest.mark.parametrize("last", [3, 12])
async def test_a_database_that_went_back_is_believed(client: Any, peer: Peer, last: int) -> None:
    """As after a failover to a standby that had less: the job ends with what version it may."""
    back = [update(PENDING, 1), update(PROCESSING, 12), update(COMPLETED, last)]
    peer.answer("StreamJobStatus", [update(PROCESSING, 12), DRAINING], back)
    seen = await follow(client, JOB_ID)
    assert seen == [(JOB_ID, 12), (JOB_ID, 1), (JOB_ID, 12), (JOB_ID, last)]


async def test_a_version_that_is_given_out_again_is_another_status(client: Any, peer: Peer) -> None:
    before, after = update(PROCESSING, 2), update(PROCESSING, 2)
    after.update.status.update_time.GetCurrentTime()
    peer.answer("StreamJobStatus", [before, DRAINING], [after, after, update(COMPLETED, 3)])
    assert await follow(client, JOB_ID) == [(JOB_ID, 2), (JOB_ID, 2), (JOB_ID, 3)]


async def test_a_broken_stream_is_opened_again_for_what_is_left(client: Any, peer: Peer) -> None:
    peer.answer(
        "StreamJobStatus",
        [update(PROCESSING, 2), update(COMPLETED, 7, OTHER_ID), DRAINING],
        [DRAINING],
        [update(PROCESSING, 2), update(COMPLETED, 3)],
    )
    assert await follow(client, JOB_ID, OTHER_ID) == [(JOB_ID, 2), (OTHER_ID, 7), (JOB_ID, 3)]
    subscriptions = [list(request.job_ids) for request in peer.requests("StreamJobStatus")]
    assert subscriptions == [[JOB_ID, OTHER_ID], [JOB_ID], [JOB_ID]]


async def test_a_silent_stream_is_opened_again(client: Any, peer: Peer) -> None:
    peer.answer("StreamJobStatus", [update(PENDING, 1), HANG], [update(COMPLETED, 2)])
    seen = await follow(client, JOB_ID, heartbeat_seconds=0.1)
    assert seen == [(JOB_ID, 1), (JOB_ID, 2)]


async def test_a_stream_that_ends_too_soon_is_opened_again(client: Any, peer: Peer) -> None:
    peer.answer("StreamJobStatus", [update(PENDING, 1)], [update(COMPLETED, 2)])
    assert await follow(client, JOB_ID) == [(JOB_ID, 1), (JOB_ID, 2)]


async def test_a_server_that_stays_away_is_given_up(client: Any, peer: Peer) -> None:
    peer.answer("StreamJobStatus", [update(PENDING, 1), DRAINING], [DRAINING])
    with pytest.raises(Unavailable, match="SERVER_DRAINING"):
        await follow(client, JOB_ID, reconnect_seconds=0.3)


async def test_somebody_elses_job_is_not_followed(client: Any, peer: Peer) -> None:
    refused = Failure(grpc.StatusCode.PERMISSION_DENIED, reason="JOB_NOT_OWNED")
    peer.answer("StreamJobStatus", [refused])
    with pytest.raises(JobNotOwned):
        await follow(client, JOB_ID)
    assert len(peer.calls) == 1


async def test_following_nothing_ends_at_once(client: Any, peer: Peer) -> None:
    assert await follow(client) == []
    assert not peer.calls


async def test_a_stream_left_early_is_ended(peer: Peer) -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def script(request: object) -> Any:
        try:
            yield update(PENDING, 1)
            yield HANG
        finally:
            loop.call_soon_threadsafe(gone.set)

    peer.answer("StreamJobStatus", script)
    async with AsyncClient(peer.target) as client:
        async with aclosing(client.follow([JOB_ID])) as updates:
            async for _ in updates:
                break
        await asyncio.wait_for(gone.wait(), 10)


async def test_cancellation_ends_a_follow(peer: Peer) -> None:
    peer.answer("StreamJobStatus", [update(PENDING, 1), HANG])
    started = asyncio.Event()

    async def run() -> None:
        async with AsyncClient(peer.target) as client:
            async for _ in client.follow([JOB_ID]):
                started.set()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(run())
        await started.wait()
        task.cancel()
    assert task.cancelled()
