"""Bulk operations, by both clients, to a peer on a real port."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.client import (
    BulkAction,
    BulkCancel,
    BulkDelete,
    BulkError,
    BulkOperationNotFound,
    BulkPreview,
    BulkRetry,
    BulkState,
    BulkUpdate,
    JobState,
)
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from tests.client.support.bulk import COMPLETED, OPERATION_ID, STOPPED, operation
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Failure, Peer

TIME = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST_ID = "0190a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b"


@pytest.mark.parametrize(
    ("action", "sent"),
    [
        (BulkCancel("why"), {"cancel": pb.BulkCancel(reason="why")}),
        (BulkCancel(), {"cancel": pb.BulkCancel()}),
        (BulkRetry(), {"retry": pb.BulkRetry(extra_attempts=1)}),
        (BulkDelete(), {"delete": pb.BulkDelete()}),
        (
            BulkUpdate({"priority": 3, "expire_time": None, "labels": {"a": "b"}}),
            {
                "update": pb.BulkUpdate(
                    spec=job_pb2.JobSpec(priority=3, labels={"a": "b"}),
                    update_mask=FieldMask(paths=["priority", "expire_time", "labels"]),
                )
            },
        ),
    ],
)
async def test_operation_is_asked_for_as_it_is_named(
    client: Any, peer: Peer, action: BulkAction, sent: dict[str, Any]
) -> None:
    peer.answer("BulkJobs", pb.BulkJobsResponse(operation=operation()))
    wanted: dict[str, Any] = {"queues": ["news"], "states": [JobState.FAILED]}
    started = await client.bulk(action, rate=2.5, most=7, request_id=REQUEST_ID, **wanted)
    assert started.id == OPERATION_ID
    [request] = peer.requests("BulkJobs")
    expected = pb.JobFilter(queues=["news"], states=[job_pb2.JOB_STATE_FAILED])
    assert request == pb.BulkJobsRequest(
        filter=expected, rate=2.5, most=7, request_id=REQUEST_ID, **sent
    )


async def test_operation_that_was_lost_on_the_way_is_asked_for_by_the_same_request_id(
    client: Any, peer: Peer
) -> None:
    away = Failure(grpc.StatusCode.UNAVAILABLE, bare=True)
    peer.answer("BulkJobs", away, pb.BulkJobsResponse(operation=operation()))
    await client.bulk(BulkRetry())
    first, second = peer.requests("BulkJobs")
    assert first == second
    assert UUID(first.request_id).version == 4
    assert first.HasField("filter")


async def test_operation_is_read_as_plain_values(client: Any, peer: Peer) -> None:
    told = operation(
        rate=5.0,
        done_count=3,
        skipped_count=2,
        skipped_by_reason={"UNIQUE_KEY_TAKEN": 2},
        last_error=pb.BulkOperationError(job_id=JOB_ID, reason="UNIQUE_KEY_TAKEN", message="m"),
        owner=job_pb2.JobOwner(user_id="ann"),
    )
    peer.answer("GetBulkOperation", pb.GetBulkOperationResponse(operation=told))
    found = await client.get_bulk_operation(UUID(OPERATION_ID))
    assert (found.kind, found.options) == ("retry", {"extra_attempts": 2})
    assert found.filter == {"queues": ["news"], "states": [JobState.FAILED]}
    assert (found.rate, found.most, found.done_count, found.user_id) == (5.0, 0, 3, "ann")
    assert (found.skipped_count, found.skipped_by_reason) == (2, {"UNIQUE_KEY_TAKEN": 2})
    assert found.last_error == BulkError(job_id=JOB_ID, reason="UNIQUE_KEY_TAKEN", message="m")
    assert (found.state, found.ended, found.end_time) == (BulkState.RUNNING, False, None)
    assert found.as_dict()["create_time"] == "2023-11-14T22:13:20+00:00"


async def test_unknown_state_of_a_newer_server_is_no_error(client: Any, peer: Peer) -> None:
    told = operation(9)  # type: ignore[arg-type]  # not in this contract
    peer.answer("GetBulkOperation", pb.GetBulkOperationResponse(operation=told))
    found = await client.get_bulk_operation(OPERATION_ID)
    assert (found.state, found.ended) == (BulkState.UNKNOWN, True)


async def test_change_is_read_by_its_fields(client: Any, peer: Peer) -> None:
    told = operation()
    told.update.spec.priority = 3
    told.update.update_mask.paths.extend(["priority", "expire_time"])
    peer.answer("GetBulkOperation", pb.GetBulkOperationResponse(operation=told))
    found = await client.get_bulk_operation(OPERATION_ID)
    assert (found.kind, found.options) == ("update", {"priority": 3, "expire_time": None})


async def test_preview_has_a_count_and_a_sample(client: Any, peer: Peer) -> None:
    peer.answer(
        "BulkJobs", pb.BulkJobsResponse(matching_count=1234, is_estimate=True, sample=[job()])
    )
    preview = await client.preview_bulk(BulkDelete(), most=5000)
    assert (preview.count, preview.is_estimate) == (1234, True)
    assert [found.id for found in preview.sample] == [JOB_ID]
    assert isinstance(preview, BulkPreview)
    [request] = peer.requests("BulkJobs")
    assert (request.validate_only, request.request_id, request.most) == (True, "", 5000)


async def test_operations_of_all_pages_are_yielded(client: Any, peer: Peer) -> None:
    peer.answer(
        "ListBulkOperations",
        pb.ListBulkOperationsResponse(operations=[operation()], next_page_token="one"),
        pb.ListBulkOperationsResponse(operations=[operation(STOPPED)]),
    )
    found = [each.state async for each in client.list_bulk_operations()]
    assert found == [BulkState.RUNNING, BulkState.STOPPED]
    tokens = [request.page_token for request in peer.requests("ListBulkOperations")]
    assert tokens == ["", "one"]


async def test_wait_goes_on_until_the_end(client: Any, peer: Peer) -> None:
    peer.answer(
        "WaitBulkOperation",
        pb.WaitBulkOperationResponse(operation=operation(version=2)),
        Failure(grpc.StatusCode.UNAVAILABLE, bare=True),
        pb.WaitBulkOperationResponse(operation=operation(COMPLETED, version=3)),
    )
    assert (await client.wait_bulk_operation(OPERATION_ID)).state is BulkState.COMPLETED
    assert len(peer.requests("WaitBulkOperation")) == 3


async def test_wait_ends_with_its_time(client: Any, peer: Peer) -> None:
    peer.answer("WaitBulkOperation", pb.WaitBulkOperationResponse(operation=operation()))
    assert not (await client.wait_bulk_operation(OPERATION_ID, timeout=0)).ended
    [request] = peer.requests("WaitBulkOperation")
    assert request.timeout.ToNanoseconds() == 0
    assert not request.HasField("after_version")


async def test_watch_yields_each_step_up_to_the_end(client: Any, peer: Peer) -> None:
    peer.answer("GetBulkOperation", pb.GetBulkOperationResponse(operation=operation()))
    peer.answer(
        "WaitBulkOperation",
        pb.WaitBulkOperationResponse(operation=operation(version=1)),
        pb.WaitBulkOperationResponse(operation=operation(version=4)),
        pb.WaitBulkOperationResponse(operation=operation(COMPLETED, version=6)),
    )
    versions = [step.version async for step in client.watch_bulk_operation(OPERATION_ID)]
    assert versions == [1, 4, 6]
    after = [request.after_version for request in peer.requests("WaitBulkOperation")]
    assert after == [1, 1, 4]


async def test_operation_is_stopped(client: Any, peer: Peer) -> None:
    peer.answer("StopBulkOperation", pb.StopBulkOperationResponse(operation=operation(STOPPED)))
    stopped = await client.stop_bulk_operation(OPERATION_ID)
    assert (stopped.state, stopped.ended) == (BulkState.STOPPED, True)
    assert peer.requests("StopBulkOperation") == [
        pb.StopBulkOperationRequest(operation_id=OPERATION_ID)
    ]


async def test_unknown_operation_is_an_error_of_its_own(client: Any, peer: Peer) -> None:
    reason = "BULK_OPERATION_NOT_FOUND"
    peer.answer("GetBulkOperation", Failure(grpc.StatusCode.NOT_FOUND, reason=reason))
    with pytest.raises(BulkOperationNotFound):
        await client.get_bulk_operation(OPERATION_ID)


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        (BulkRetry(0), {}),
        (BulkRetry(101), {}),
        (BulkUpdate({"input": {}}), {}),
        (BulkUpdate({"schedule_time": datetime(2026, 1, 1)}), {}),
        (BulkCancel(), {"states": ["NONE"]}),
    ],
)
async def test_what_no_request_can_carry_is_not_sent(
    client: Any, peer: Peer, action: BulkAction, wanted: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await client.bulk(action, **wanted)
    assert peer.calls == []
