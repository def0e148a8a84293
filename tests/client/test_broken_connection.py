"""A status that is not of jobsvc: what may be repeated goes on as after UNAVAILABLE."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from jobsvc.client import AsyncClient, CallFailed, JobNotOwned, NewJob, PayloadTooLarge, Unavailable
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, job, update
from tests.client.support.peer import Failure, Peer
from tests.support.real_proxies import real_proxy

BROKEN = [
    Failure(code, "gone", bare=True)
    for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.NOT_FOUND)
]
ENDED = job(state=job_pb2.JOB_STATE_COMPLETED)


async def test_create_is_repeated_under_its_request_id(client: Any, peer: Peer) -> None:
    peer.answer("CreateJob", *BROKEN[:2], job_service_pb2.CreateJobResponse(job=job()))
    assert (await client.create("news")).id == JOB_ID
    first, second, third = peer.requests("CreateJob")
    assert first == second == third


async def test_follow_goes_on(client: Any, peer: Peer) -> None:
    streams = [[failure] for failure in BROKEN]
    peer.answer("StreamJobStatus", *streams, [update(job_pb2.JOB_STATE_COMPLETED, 2)])
    assert [each.status.version async for each in client.follow([JOB_ID])] == [2]


async def test_wait_goes_on(client: Any, peer: Peer) -> None:
    peer.answer("WaitJob", *BROKEN[:2], job_service_pb2.WaitJobResponse(job=ENDED))
    assert (await client.wait(JOB_ID)).ended


async def test_repetition_ends_with_the_deadline_and_names_the_server(
    connect: Any, peer: Peer
) -> None:
    peer.answer("GetJob", BROKEN[0])
    client = await connect(timeout=0.5)
    with pytest.raises(Unavailable, match=r"the connection broke \(INTERNAL: gone\)") as caught:
        await client.get(JOB_ID)
    assert peer.target in caught.value.message
    assert 1 < len(peer.calls) < 5
    assert peer.calls[-1].seconds_left < 0.4


async def test_defect_of_the_server_is_not_repeated(client: Any, peer: Peer) -> None:
    peer.answer("GetJob", Failure(grpc.StatusCode.INTERNAL, reason="INTERNAL_ERROR"))
    with pytest.raises(CallFailed, match="INTERNAL_ERROR"):
        await client.get(JOB_ID)
    assert len(peer.calls) == 1


async def test_refusal_is_read_from_its_details(client: Any, peer: Peer) -> None:
    refused = Failure(
        grpc.StatusCode.PERMISSION_DENIED,
        reason="JOB_NOT_OWNED",
        sent_as=grpc.StatusCode.CANCELLED,
    )
    peer.answer("StreamJobStatus", [refused])
    with pytest.raises(JobNotOwned, match="PERMISSION_DENIED"):
        await anext(client.follow([JOB_ID]))
    assert len(peer.calls) == 1


async def test_request_that_a_proxy_refuses_names_its_setting(peer: Peer, tmp_path: Path) -> None:
    with real_proxy("nginx", peer.target, tmp_path) as target:
        async with AsyncClient(target) as client:
            jobs = [NewJob("news", {"text": "x" * 200_000}) for _ in range(10)]
            with pytest.raises(PayloadTooLarge, match="client_max_body_size"):
                await client.create_many(jobs)
    assert not peer.calls
