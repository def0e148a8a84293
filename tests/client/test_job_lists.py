"""Lists and counts of jobs, of both clients, to a peer on a real port."""

from datetime import UTC, datetime
from typing import Any

import pytest

from jobsvc.client import JobCount, JobState
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1.job_service_pb2 import CountJobsResponse, JobFilter, ListJobsResponse
from tests.client.support.messages import JOB_ID, OTHER_ID, job
from tests.client.support.peer import Peer

TIME = datetime(2026, 1, 1, tzinfo=UTC)


async def test_jobs_of_all_pages_are_yielded(client: Any, peer: Peer) -> None:
    """Also behind a page that has none."""
    peer.answer(
        "ListJobs",
        ListJobsResponse(jobs=[job()], next_page_token="one"),
        ListJobsResponse(next_page_token="two"),
        ListJobsResponse(jobs=[job(job_id=OTHER_ID)]),
    )
    found = [each.id async for each in client.list_jobs(queues=["news"], page_size=7)]
    assert found == [JOB_ID, OTHER_ID]
    requests = peer.requests("ListJobs")
    assert [request.page_token for request in requests] == ["", "one", "two"]
    for request in requests:
        assert request.filter == JobFilter(queues=["news"])
        assert (request.page_size, request.view) == (7, job_pb2.JOB_VIEW_BASIC)
        assert request.payload_encoding == payload_pb2.PAYLOAD_ENCODING_JSON_TEXT


async def test_conditions_are_sent_as_they_are_named(client: Any, peer: Peer) -> None:
    peer.answer("ListJobs", ListJobsResponse())
    peer.answer("CountJobs", CountJobsResponse(count=1234, is_estimate=True))
    wanted: dict[str, Any] = {
        "queues": ["a", "b"],
        "states": [JobState.FAILED, "CANCELLED"],
        "labels": {"k": "v"},
        "own_session": True,
        "own_user": True,
        "create_time_from": TIME,
        "create_time_until": TIME,
    }
    assert [each async for each in client.list_jobs(full=True, **wanted)] == []
    assert await client.count_jobs(**wanted) == JobCount(count=1234, is_estimate=True)
    sent = JobFilter(
        queues=["a", "b"],
        states=[job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED],
        labels={"k": "v"},
        own_session=True,
        own_user=True,
        create_time_from=TIME,
        create_time_until=TIME,
    )
    [listed], [counted] = peer.requests("ListJobs"), peer.requests("CountJobs")
    assert listed.filter == counted.filter == sent
    assert listed.view == job_pb2.JOB_VIEW_FULL


async def test_unknown_state_is_refused_before_the_call(client: Any, peer: Peer) -> None:
    with pytest.raises(ValueError, match="DONE"):
        await client.count_jobs(states=["DONE"])
    assert peer.calls == []
