"""ListJobs and CountJobs through a real channel."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from jobsvc.api.bounds import MAX_ANSWER_BYTES
from jobsvc.app import Replica
from jobsvc.domain.job import JobState
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.jobs.list import JobLister
from jobsvc.store.store import Store
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from jobsvc.v1.worker_service_pb2 import ReportOutcomesRequest
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import QUEUE, Create
from tests.api.support.refusal import refused
from tests.api.support.worker import WORKER, failure, lease_all, success

USER = (("x-user-id", "ann"),)
SESSION = (("x-session-id", "s"),)
TOKEN_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def pages(
    jobs: JobServiceStub, metadata: Any = (), **fields: Any
) -> AsyncIterator[pb.ListJobsResponse]:
    """Every page up to the one without a token."""
    token = ""
    while True:
        request = pb.ListJobsRequest(page_token=token, **fields)
        page = await jobs.ListJobs(request, metadata=metadata)
        yield page
        token = page.next_page_token
        if not token:
            return


async def ids(jobs: JobServiceStub, metadata: Any = (), **fields: Any) -> list[str]:
    """The ids of all jobs on all pages."""
    return [job.id async for page in pages(jobs, metadata, **fields) for job in page.jobs]


async def create_many(jobs: JobServiceStub, queue: str, count: int) -> None:
    for start in range(0, count, 1000):
        spec = job_pb2.JobSpec(queue=queue)
        requests = [pb.CreateJobRequest(spec=spec)] * min(1000, count - start)
        await jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=requests))


async def test_jobs_come_in_pages_newest_first(create: Create, jobs: JobServiceStub) -> None:
    created = [(await create()).id for _ in range(5)]
    found = [[job.id for job in page.jobs] async for page in pages(jobs, page_size=2)]
    newest = created[::-1]
    assert found == [newest[:2], newest[2:4], newest[4:]]


async def test_page_without_jobs_has_no_token(jobs: JobServiceStub) -> None:
    assert await jobs.ListJobs(pb.ListJobsRequest()) == pb.ListJobsResponse()


async def test_jobs_are_as_get_returns_them(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    await create(input=Payload(json_text='{"a":1}'), labels={"k": "v"}, priority=3)
    await create(input=Payload(json_text='{"a":2}'))
    (lease,) = await lease_all(workers, max_jobs=1)
    await workers.ReportOutcomes(
        ReportOutcomesRequest(worker_id=WORKER, outcomes=[success(lease, '{"b":1}')])
    )
    views = ((job_pb2.JOB_VIEW_BASIC, ""), (job_pb2.JOB_VIEW_FULL, "input"))
    for view, payload in views:
        request = pb.ListJobsRequest(view=view, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
        for listed in (await jobs.ListJobs(request)).jobs:
            got = (
                await jobs.GetJob(
                    pb.GetJobRequest(
                        job_id=listed.id, view=view, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT
                    )
                )
            ).job
            # Worked out when a single job is read.
            got.status.ClearField("wait_reason")
            got.status.ClearField("recent_attempts")
            assert listed == got
            assert listed.spec.HasField("input") is bool(payload)
    basic = (await jobs.ListJobs(pb.ListJobsRequest())).jobs
    assert not any(job.spec.HasField("input") for job in basic), "BASIC is the default"


async def test_page_sizes(jobs: JobServiceStub, queue: str) -> None:
    await create_many(jobs, queue, 1001)
    sizes = [(0, 0, 50), (1000, 0, 1000), (1001, 0, 1000), (2**31 - 1, 0, 1000), (101, 2, 100)]
    for asked, view, size in sizes:
        request = pb.ListJobsRequest(page_size=asked, view=view)  # type: ignore[arg-type]
        page = await jobs.ListJobs(request)
        assert len(page.jobs) == size
        assert page.next_page_token
    assert len(set(await ids(jobs, page_size=1000))) == 1001


async def test_every_wrong_field_is_named(jobs: JobServiceStub) -> None:
    wrong = pb.JobFilter(
        queues=["Q"],
        states=[0, 6],  # type: ignore[list-item]
        labels={"Bad": "x"},
        own_session=True,
        own_user=True,
        create_time_from=Timestamp(nanos=-1),
        create_time_until=Timestamp(seconds=2**60),
    )
    filter_fields = [
        "filter.queues[0]",
        "filter.states[0]",
        "filter.states[1]",
        "filter.own_session",
        "filter.own_user",
        "filter.labels['Bad']",
        "filter.create_time_from",
        "filter.create_time_until",
    ]
    request = pb.ListJobsRequest(
        filter=wrong,
        page_size=-1,
        page_token="x" * 1025,
        view=7,  # type: ignore[arg-type]
        payload_encoding=9,  # type: ignore[arg-type]
    )
    refusal = await refused(jobs.ListJobs(request))
    assert refusal.what == INVALID
    fields = ["view", "payload_encoding", "page_size", "page_token", *filter_fields]
    assert refusal.fields == fields
    refusal = await refused(jobs.CountJobs(pb.CountJobsRequest(filter=wrong)))
    assert (refusal.what, refusal.fields) == (INVALID, filter_fields)


@pytest.mark.parametrize(
    ("field", "most"), [("queues", ["q"] * 65), ("states", [1] * 11), ("labels", range(9))]
)
async def test_conditions_are_limited(jobs: JobServiceStub, field: str, most: Any) -> None:
    value = {f"k{n}": "v" for n in most} if field == "labels" else most
    request = pb.ListJobsRequest(filter=pb.JobFilter(**{field: value}))
    assert (await refused(jobs.ListJobs(request))).fields == [f"filter.{field}"]


async def test_token_is_good_for_its_own_request_only(create: Create, jobs: JobServiceStub) -> None:
    for _ in range(3):
        await create()
    token = (await jobs.ListJobs(pb.ListJobsRequest(page_size=1))).next_page_token
    assert (await jobs.ListJobs(pb.ListJobsRequest(page_size=2, page_token=token))).jobs
    for other in (
        pb.ListJobsRequest(page_token=token, filter=pb.JobFilter(queues=[QUEUE])),
        pb.ListJobsRequest(page_token=token, view=job_pb2.JOB_VIEW_FULL),
        pb.ListJobsRequest(page_token=token, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT),
        pb.ListJobsRequest(page_token="rubbish"),
    ):
        assert (await refused(jobs.ListJobs(other))).what == TOKEN_INVALID


async def test_caller_sees_its_own_and_what_is_nobodys(
    create: Create, jobs: JobServiceStub
) -> None:
    anyones = (await create()).id
    users = (await create(metadata=USER)).id
    both = (await create(metadata=USER + SESSION)).id
    bobs = (("x-user-id", "bob"),)
    assert await ids(jobs) == [anyones]
    assert await ids(jobs, bobs) == [anyones]
    assert await ids(jobs, SESSION) == [both, anyones]
    assert await ids(jobs, USER) == [both, users, anyones]
    assert await ids(jobs, USER, filter=pb.JobFilter(own_user=True)) == [both, users]
    assert await ids(jobs, SESSION, filter=pb.JobFilter(own_session=True)) == [both]
    own = pb.CountJobsRequest(filter=pb.JobFilter(own_user=True))
    assert (await jobs.CountJobs(own, metadata=USER)).count == 2
    assert (await jobs.CountJobs(own, metadata=bobs)).count == 0


async def test_filter_selects_by_queue_state_label_and_time(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, declare: Any
) -> None:
    await declare("other")
    first = await create(labels={"a": "1", "b": "2"})
    second = await create(queue="other", labels={"a": "1"})
    await lease_all(workers, max_jobs=1)
    for wanted, expected in (
        (pb.JobFilter(queues=["other", "q"]), [second, first]),
        (pb.JobFilter(queues=["other"]), [second]),
        (pb.JobFilter(states=[job_pb2.JOB_STATE_PROCESSING]), [first]),
        (pb.JobFilter(states=[job_pb2.JOB_STATE_PENDING]), [second]),
        (pb.JobFilter(labels={"a": "1"}), [second, first]),
        (pb.JobFilter(labels={"a": "1", "b": "2"}), [first]),
        (pb.JobFilter(create_time_from=second.create_time), [second]),
        (pb.JobFilter(create_time_until=second.create_time), [first]),
    ):
        assert await ids(jobs, filter=wanted) == [job.id for job in expected], wanted
        count = await jobs.CountJobs(pb.CountJobsRequest(filter=wanted))
        assert count == pb.CountJobsResponse(count=len(expected))


async def test_emptied_job_is_not_listed(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create()
    (lease,) = await lease_all(workers)
    await workers.ReportOutcomes(ReportOutcomesRequest(worker_id=WORKER, outcomes=[success(lease)]))
    assert len(await ids(jobs)) == 1
    await sql.execute("UPDATE result SET emptied_time = now()")
    assert await ids(jobs) == []
    assert (await jobs.CountJobs(pb.CountJobsRequest())).count == 0


async def test_large_jobs_are_spread_over_pages_that_clients_take(
    create: Create, jobs: JobServiceStub
) -> None:
    text = '{"a":"' + "x" * 250_000 + '"}'
    created = [(await create(input=Payload(json_text=text))).id for _ in range(30)]
    fields = {"view": job_pb2.JOB_VIEW_FULL, "payload_encoding": PAYLOAD_ENCODING_JSON_TEXT}
    found = [page async for page in pages(jobs, **fields)]
    assert all(page.ByteSize() < MAX_ANSWER_BYTES for page in found)
    assert 2 < len(found) < 6, "nor are pages smaller than they must be"
    assert [job.id for page in found for job in page.jobs] == created[::-1]


async def test_large_errors_are_spread_over_pages_that_clients_take(
    jobs: JobServiceStub, workers: WorkerServiceStub, queue: str
) -> None:
    await create_many(jobs, queue, 300)
    error: dict[str, Any] = {
        "metadata": {f"k{n}": "v" * 900 for n in range(32)},
        "message": "m" * 4000,
    }
    for _ in range(6):
        leases = await lease_all(workers, max_jobs=50)
        await workers.ReportOutcomes(
            ReportOutcomesRequest(
                worker_id=WORKER,
                outcomes=[failure(lease, code_pb2.NOT_FOUND, **error) for lease in leases],
            )
        )
    found = [page async for page in pages(jobs, page_size=1000)]
    assert all(page.ByteSize() < MAX_ANSWER_BYTES for page in found)
    assert len(found) > 2
    assert len({job.id for page in found for job in page.jobs}) == 300


async def test_job_that_changed_since_it_was_found_is_left_out(
    create: Create, server: Replica, store: Store, workers: WorkerServiceStub
) -> None:
    found = [(await create()).id for _ in range(2)]
    await lease_all(workers, max_jobs=1)
    pending = JobFilter(states=frozenset({JobState.PENDING}))
    listed = await JobLister(store).read(found, pending, Owner(), with_payloads=False)
    assert [job.id for job in listed] == found[1:]


async def test_a_thousand_jobs_are_counted_and_more_are_estimated(
    jobs: JobServiceStub, queue: str
) -> None:
    await create_many(jobs, queue, 1000)
    wanted = pb.CountJobsRequest(filter=pb.JobFilter(queues=[queue]))
    assert await jobs.CountJobs(wanted) == pb.CountJobsResponse(count=1000)
    await create_many(jobs, queue, 1)
    assert await jobs.CountJobs(wanted) == pb.CountJobsResponse(count=1001, is_estimate=True)
