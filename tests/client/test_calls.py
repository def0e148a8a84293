"""Single calls, of both clients, to a peer on a real port."""

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc import aio

from jobsvc import client as jobsvc
from jobsvc.client import AsyncClient, Client, NewJob, RetryPolicy, Violation
from jobsvc.v1 import job_pb2, job_service_pb2, queue_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Failure, Peer

CREATED = job_service_pb2.CreateJobResponse(job=job())
UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE, reason="SERVER_DRAINING")


def create_all(request: Any) -> job_service_pb2.BatchCreateJobsResponse:
    return job_service_pb2.BatchCreateJobsResponse(
        responses=[
            job_service_pb2.CreateJobResponse(job=job_pb2.Job(id=each.request_id))
            for each in request.requests
        ]
    )


async def test_a_creation_returns_the_job(client: Any, peer: Peer) -> None:
    peer.answer("CreateJob", CREATED)
    created = await client.create("news", {"a": 1}, priority=3)
    assert (created.id, created.existing) == (JOB_ID, False)
    [request] = peer.requests("CreateJob")
    assert (request.spec.input.json_text, request.spec.priority) == ('{"a":1}', 3)


async def test_each_retry_carries_the_request_id_of_the_first_try(client: Any, peer: Peer) -> None:
    """The peer has noted the request before it fails: just like a commit whose reply is lost."""
    peer.answer("CreateJob", UNAVAILABLE, UNAVAILABLE, CREATED)
    created = await client.create("news")
    requests = peer.requests("CreateJob")
    assert created.id == JOB_ID
    assert len(requests) == 3
    assert len({request.request_id for request in requests}) == 1
    assert requests[0].request_id


async def test_a_batch_of_megabytes_is_retried_too(client: Any, peer: Peer) -> None:
    """gRPC gives up on retries where its buffer is smaller than the request."""
    peer.answer("BatchCreateJobs", UNAVAILABLE, create_all)
    jobs = [NewJob("news", {"x": "y" * 100_000}) for _ in range(30)]
    created = await client.create_many(jobs)
    first, second = peer.requests("BatchCreateJobs")
    assert first.ByteSize() > 3_000_000
    assert first == second
    assert [each.id for each in created] == [each.request_id for each in jobs]


async def test_many_jobs_come_back_in_order(client: Any, peer: Peer) -> None:
    peer.answer("BatchCreateJobs", create_all)
    jobs = [NewJob("news") for _ in range(1500)]
    created = await client.create_many(iter(jobs))
    assert [each.id for each in created] == [each.request_id for each in jobs]
    assert len(peer.requests("BatchCreateJobs")) == 2


async def test_a_failed_batch_says_which_and_can_be_sent_again(client: Any, peer: Peer) -> None:
    rejected = Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="PAYLOAD_REJECTED")
    is_rejected = True

    def create_or_reject(request: Any) -> Any:
        return rejected if is_rejected and len(request.requests) == 1 else create_all(request)

    peer.answer("BatchCreateJobs", create_or_reject)
    jobs = [NewJob("news") for _ in range(1001)]
    with pytest.raises(jobsvc.PayloadRejected) as caught:
        await client.create_many(jobs)
    assert caught.value.__notes__ == ["in the batch that begins with job 1000"]
    is_rejected = False
    await client.create_many(jobs)
    requests = peer.requests("BatchCreateJobs")
    for size in (1000, 1):
        first, again = (each for each in requests if len(each.requests) == size)
        assert first == again
    assert len(requests) == 4


async def test_two_batches_are_under_way_at_a_time(client: Any, peer: Peer) -> None:
    under_way: list[int] = []
    both_came = threading.Barrier(2)

    def create_with_another(request: Any) -> Any:
        under_way.append(len(peer.requests("BatchCreateJobs")) - len(ended))
        both_came.wait(30)
        ended.append(request)
        return create_all(request)

    ended: list[Any] = []
    peer.answer("BatchCreateJobs", create_with_another)
    jobs = [NewJob("news") for _ in range(3500)]
    created = await client.create_many(jobs)
    assert [each.id for each in created] == [each.request_id for each in jobs]
    assert max(under_way) == 2


async def test_no_batch_is_under_way_after_a_failure(client: Any, peer: Peer) -> None:
    came = threading.Barrier(2)
    ended: list[int] = []

    def reject_the_first(request: Any) -> Any:
        came.wait(30)
        if len(request.requests) == 1000:
            return Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="PAYLOAD_REJECTED")
        time.sleep(0.2)  # It takes longer than the failure of the other.
        ended.append(len(request.requests))
        return create_all(request)

    peer.answer("BatchCreateJobs", reject_the_first)
    with pytest.raises(jobsvc.PayloadRejected) as caught:
        await client.create_many(NewJob("news") for _ in range(1001))
    assert caught.value.__notes__ == ["in the batch that begins with job 0"]
    assert ended == [1]


async def test_a_refusal_is_not_retried(client: Any, peer: Peer) -> None:
    peer.answer("CreateJob", Failure(grpc.StatusCode.NOT_FOUND, reason="QUEUE_NOT_FOUND"))
    with pytest.raises(jobsvc.QueueNotFound):
        await client.create("news")
    assert len(peer.calls) == 1


async def test_the_deadline_ends_the_retries(connect: Any, peer: Peer) -> None:
    client = await connect(timeout=0.5)
    peer.answer("GetJob", UNAVAILABLE)
    with pytest.raises((jobsvc.DeadlineExceeded, jobsvc.Unavailable)):
        await client.get(JOB_ID)
    # gRPC rounds up what it sends.
    assert all(call.seconds_left < 0.6 for call in peer.calls)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("NOT_FOUND", "JOB_NOT_FOUND", jobsvc.JobNotFound),
        ("PERMISSION_DENIED", "JOB_NOT_OWNED", jobsvc.JobNotOwned),
        ("INVALID_ARGUMENT", "INVALID_REQUEST", jobsvc.InvalidRequest),
        ("INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE", jobsvc.PayloadTooLarge),
        ("ALREADY_EXISTS", "UNIQUE_KEY_TAKEN", jobsvc.UniqueKeyTaken),
        ("ALREADY_EXISTS", "REQUEST_ID_REUSED", jobsvc.RequestIdReused),
        ("RESOURCE_EXHAUSTED", "RATE_LIMITED", jobsvc.Overloaded),
        ("FAILED_PRECONDITION", "JOB_STATE_CONFLICT", jobsvc.JobStateConflict),
        ("ABORTED", "ETAG_MISMATCH", jobsvc.EtagMismatch),
        ("INTERNAL", "", jobsvc.CallFailed),
    ],
)
async def test_a_status_becomes_its_exception(
    client: Any, peer: Peer, code: str, reason: str, kind: type[jobsvc.CallFailed]
) -> None:
    peer.answer("GetJob", Failure(grpc.StatusCode[code], "in words", reason, {"jobId": "x"}))
    with pytest.raises(jobsvc.CallFailed) as caught:
        await client.get(JOB_ID)
    failure = caught.value
    assert type(failure) is kind
    assert (failure.code, failure.reason, failure.message) == (code, reason, "in words")
    assert failure.metadata == {"jobId": "x"}
    assert str(failure) == (f"{code} ({reason}): in words" if reason else f"{code}: in words")


async def test_defects_and_delays_can_be_read(connect: Any, peer: Peer) -> None:
    client = await connect(timeout=2)
    violation = error_details_pb2.BadRequest.FieldViolation(field="spec.queue", description="bad")
    peer.answer(
        "GetJob",
        Failure(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            details=(
                error_details_pb2.BadRequest(field_violations=[violation]),
                error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=250_000_000)),
            ),
        ),
    )
    with pytest.raises(jobsvc.Overloaded) as caught:
        await client.get(JOB_ID)
    assert caught.value.violations == (Violation("spec.queue", "bad"),)
    assert caught.value.retry_delay_seconds == 0.25
    assert caught.value.transient


async def test_a_given_channel_is_used_and_left_open(peer: Peer) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    async with aio.insecure_channel(peer.target) as channel:
        for _ in range(2):
            async with AsyncClient("127.0.0.1:1", channel=channel) as client:
                assert (await client.get(JOB_ID)).id == JOB_ID
    with grpc.insecure_channel(peer.target) as channel:
        for _ in range(2):
            with Client("127.0.0.1:1", channel=channel) as client:
                assert (await asyncio.to_thread(client.get, JOB_ID)).id == JOB_ID


async def test_a_client_can_be_entered_again(peer: Peer) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    client = AsyncClient(peer.target)
    for _ in range(2):
        async with client:
            assert (await client.get(JOB_ID)).id == JOB_ID


async def test_identity_goes_with_every_call(connect: Any, peer: Peer) -> None:
    tokens = iter(["one", "two"])
    client = await connect(
        session_id="s-1", user_id="42", token=lambda: next(tokens), metadata=[("x-extra", "e")]
    )
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    await client.get(JOB_ID)
    await client.get(JOB_ID)
    first, second = (call.metadata for call in peer.calls)
    assert (first["x-session-id"], first["x-user-id"], first["x-extra"]) == ("s-1", "42", "e")
    assert (first["authorization"], second["authorization"]) == ("Bearer one", "Bearer two")


async def test_nobody_is_nobody(client: Any, peer: Peer) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    await client.get(JOB_ID)
    assert not {"x-session-id", "x-user-id", "authorization"} & peer.calls[0].metadata.keys()


async def test_a_job_can_be_cancelled(client: Any, peer: Peer) -> None:
    answer = job_service_pb2.CancelJobResponse(job=job(job_pb2.JOB_STATE_CANCELLED, 2))
    peer.answer("CancelJob", answer)
    cancelled = await client.cancel(JOB_ID, "no longer wanted")
    assert cancelled.ended
    assert peer.requests("CancelJob")[0].reason == "no longer wanted"


async def test_a_queue_can_be_declared(client: Any, peer: Peer) -> None:
    peer.answer(
        "UpdateQueue",
        queue_service_pb2.UpdateQueueResponse(queue=queue_service_pb2.Queue(name="q")),
    )
    schema = {"type": "object", "required": ["url"]}
    queue = await client.declare_queue("q", input_schema=schema, retry=RetryPolicy(7), lease=60)
    [request] = peer.requests("UpdateQueue")
    assert queue.name == "q"
    assert request.allow_missing
    assert not request.HasField("update_mask")
    assert json.loads(request.queue.input_schema.json_schema_text)["type"] == "object"
    assert request.queue.retry_policy.max_attempts == 7
    assert request.queue.lease_duration.seconds == 60
    assert not request.queue.HasField("output_schema")
    assert not request.keep_newer_schema
    await client.declare_queue("q", keep_newer_schema=True, input_schema=schema)
    assert peer.requests("UpdateQueue")[1].keep_newer_schema


async def test_queues_can_be_counted(client: Any, peer: Peer) -> None:
    stats = queue_service_pb2.QueueStats(queue="q", ready_count=3)
    peer.answer("GetQueueStats", queue_service_pb2.GetQueueStatsResponse(stats=[stats]))
    [counted] = await client.queue_stats("q", "r")
    assert (counted.ready_count, counted.recent) == (3, None)
    await client.queue_stats(recent=True)
    first, second = peer.requests("GetQueueStats")
    assert (list(first.queues), first.with_recent) == (["q", "r"], False)
    assert (list(second.queues), second.with_recent) == ([], True)


async def test_history_of_a_queue_is_read(client: Any, peer: Peer) -> None:
    answer = queue_service_pb2.GetQueueHistoryResponse()
    step = answer.steps.add(created_count=3, failed_count=1, failed_counts={"INTERNAL": 1})
    step.start_time.seconds = 1_700_000_040
    step.duration.seconds = 120
    step.wait.count = 3
    step.wait.p95.nanos = 250_000_000
    peer.answer("GetQueueHistory", answer)
    [found] = await client.queue_history("q", window=timedelta(hours=1), step=120)
    assert found.start_time == datetime.fromtimestamp(1_700_000_040, UTC)
    assert (found.duration_seconds, found.created_count) == (120.0, 3)
    assert found.failed_counts == {"INTERNAL": 1}
    assert (found.wait.count, found.wait.p95_seconds, found.run) == (3, 0.25, None)
    await client.queue_history("q")
    first, second = peer.requests("GetQueueHistory")
    assert (first.queue, first.window.seconds, first.step.seconds) == ("q", 3600, 120)
    assert second == queue_service_pb2.GetQueueHistoryRequest(queue="q")
