"""WatchJobs: what comes in which order, and who sees what."""

from datetime import timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.api.bookmark import Bookmark, read_bookmark, write_bookmark
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.app import Replica
from jobsvc.jobs.watcher import MAX_PENDING
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.watch_stream import Watch
from tests.api.support.worker import failure, lease_one, report, success

_PENDING, _PROCESSING = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_PROCESSING
_COMPLETED, _FAILED = job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED


def of_queue(name: str = "q", **fields: Any) -> pb.JobFilter:
    return pb.JobFilter(queues=[name], **fields)


async def test_jobs_as_they_are_come_first_then_synced_then_changes(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    first, second = await create(), await create()
    watch = await Watch(jobs, filter=of_queue()).synced()
    assert watch.told == [(second.id, 1, _PENDING), (first.id, 1, _PENDING)]
    lease = await lease_one(workers)
    await watch.until_state(first.id, _PROCESSING)
    await report(workers, success(lease))
    last = await watch.until_state(first.id, _COMPLETED)
    assert last.queue == "q"
    third = await create()
    await watch.until_state(third.id, _PENDING)
    watch.call.cancel()


async def test_each_change_is_told_once(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    watch = await Watch(jobs, filter=of_queue()).synced()
    created = []
    for _ in range(3):
        created.append((await create()).id)
        await watch.until_state(created[-1], _PENDING)
        lease = await lease_one(workers)
        await watch.until_state(created[-1], _PROCESSING)
        await report(workers, success(lease))
        await watch.until_state(created[-1], _COMPLETED)
    # Several polls later, which find all of them again.
    await watch.until_bookmark()
    assert watch.told == [
        (job_id, version, state)
        for job_id in created
        for version, state in ((1, _PENDING), (2, _PROCESSING), (3, _COMPLETED))
    ]


async def test_changes_only_begins_with_synced(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    old = await create()
    watch = Watch(jobs, filter=of_queue(), changes_only=True)
    assert (await watch.read()).HasField("synced")
    new = await create()
    await watch.until_state(new.id, _PENDING)
    assert old.id not in watch.latest
    await lease_one(workers)
    await watch.until_state(old.id, _PROCESSING)


async def test_changes_only_of_a_queue_that_nobody_watched_begins_with_synced(
    create: Create, jobs: JobServiceStub, declare: Any
) -> None:
    """The feed runs for another queue; the jobs of this one are not news to those who come."""
    await declare("other")
    await Watch(jobs, filter=of_queue()).synced()
    await create(queue="other")
    watch = await Watch(jobs, filter=of_queue("other"), changes_only=True).synced()
    new = await create(queue="other")
    await watch.until_state(new.id, _PENDING)
    assert list(watch.latest) == [new.id]


async def test_filter_selects_the_updates(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    failed = await Watch(jobs, filter=pb.JobFilter(states=[_FAILED])).synced()
    labelled = await Watch(jobs, filter=of_queue(labels={"a": "1"})).synced()
    elsewhere = await Watch(jobs, filter=of_queue("elsewhere")).synced()
    one = await create(labels={"a": "1", "b": "2"})
    two = await create(labels={"a": "2"})
    await report(workers, failure(await lease_one(workers), retryable=False))
    await report(workers, success(await lease_one(workers)))
    await failed.until_state(one.id, _FAILED)
    await labelled.until_state(one.id, _FAILED)
    for watch in (failed, labelled, elsewhere):
        await watch.until_bookmark()
    assert failed.told == [(one.id, 3, _FAILED)]
    assert set(labelled.latest) == {one.id}
    assert not elsewhere.told
    everything = await Watch(jobs).synced()
    assert set(everything.latest) == {one.id, two.id}


async def test_job_that_comes_to_match_is_told(create: Create, jobs: JobServiceStub) -> None:
    watch = await Watch(jobs, filter=pb.JobFilter(labels={"a": "1"}), changes_only=True).synced()
    job = await create()
    update = pb.UpdateJobRequest(job_id=job.id, spec=job_pb2.JobSpec(labels={"a": "1"}))
    await jobs.UpdateJob(update)
    await watch.until_state(job.id, _PENDING)
    assert watch.told == [(job.id, 2, _PENDING)]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"filter": pb.JobFilter(queues=["Q"])}, "filter.queues[0]"),
        ({"filter": pb.JobFilter(own_user=True)}, "filter.own_user"),
        ({"filter": pb.JobFilter(create_time_from=Timestamp(nanos=-1))}, "filter.create_time_from"),
        ({"view": 7}, "view"),
        ({"payload_encoding": 7}, "payload_encoding"),
        ({"bookmark": "x"}, "bookmark"),
        ({"bookmark": "1-1-" + "f" * 14}, "bookmark"),
        ({"bookmark": "2-1-1"}, "bookmark"),
    ],
)
async def test_wrong_field_is_named(
    jobs: JobServiceStub, fields: dict[str, Any], path: str
) -> None:
    refusal = await refused(Watch(jobs, **fields).read())
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == [path]


async def test_full_view_has_the_output_and_basic_has_not(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    text = payload_pb2.PAYLOAD_ENCODING_JSON_TEXT
    full = await Watch(
        jobs, filter=of_queue(), view=job_pb2.JOB_VIEW_FULL, payload_encoding=text
    ).synced()
    struct = await Watch(jobs, filter=of_queue(), view=job_pb2.JOB_VIEW_FULL).synced()
    basic = await Watch(jobs, filter=of_queue()).synced()
    job = await create()
    await report(workers, success(await lease_one(workers), '{"a": 1}'))
    assert (await full.until_state(job.id, _COMPLETED)).status.output.json_text == '{"a": 1}'
    assert (await struct.until_state(job.id, _COMPLETED)).status.output.json["a"] == 1
    assert not (await basic.until_state(job.id, _COMPLETED)).status.HasField("output")
    again = await Watch(
        jobs, filter=of_queue(), view=job_pb2.JOB_VIEW_FULL, payload_encoding=text
    ).synced()
    assert again.latest[job.id].status.output.json_text == '{"a": 1}'


async def test_drain_ends_the_stream(create: Create, jobs: JobServiceStub, server: Replica) -> None:
    watch = await Watch(jobs, filter=of_queue()).synced()
    await server.drain()
    refusal = await refused(watch.until(lambda: False))
    assert refusal.what == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


async def test_idle_stream_beats(jobs: JobServiceStub, queue: str) -> None:
    watch = await Watch(jobs, filter=of_queue()).synced()
    first = watch.bookmark
    await watch.until(lambda: watch.heartbeats)
    assert watch.bookmark > first, "a heartbeat brings a later bookmark"


async def test_deleted_job_is_reported_no_more(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    watch = await Watch(jobs, filter=of_queue()).synced()
    job = await create()
    await report(workers, success(await lease_one(workers)))
    await watch.until_state(job.id, _COMPLETED)
    told = len(watch.told)
    await jobs.DeleteJob(pb.DeleteJobRequest(job_id=job.id))
    await watch.until_bookmark()
    assert len(watch.told) == told


async def test_bookmark_of_any_age_goes_on_from_there(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    old, late = await create(), await create()
    await report(workers, success(await lease_one(workers)))
    await report(workers, success(await lease_one(workers)))
    watch = await Watch(jobs, filter=of_queue(), changes_only=True).synced()
    for job, hours in ((old, 3), (late, 1)):
        await sql.execute(
            "UPDATE result SET end_time = end_time - interval '1 hour' * $2 WHERE job_id = $1",
            job.id,
            hours,
        )
    timeline, watermark = read_bookmark(RequestChecks(), watch.bookmark)
    two_hours_ago = write_bookmark(Bookmark(timeline, watermark - timedelta(hours=2)))
    resumed = await Watch(jobs, filter=of_queue(), bookmark=two_hours_ago).synced()
    assert late.id in resumed.latest
    # Its creation, a moment ago, is within what is always read again.
    assert resumed.state(late.id) == _COMPLETED
    await sql.execute("UPDATE job SET create_time = create_time - interval '1 day'")
    resumed = await Watch(jobs, filter=of_queue(), bookmark=two_hours_ago).synced()
    assert list(resumed.latest) == [late.id]


async def test_bookmark_in_the_future_or_of_another_timeline_is_no_harm(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    """The clock of the server before may have been ahead."""
    watch = await Watch(jobs, filter=of_queue(), changes_only=True).synced()
    timeline, watermark = read_bookmark(RequestChecks(), watch.bookmark)
    watch.call.cancel()
    job = await create()
    for bookmark in (
        Bookmark(timeline, watermark + timedelta(hours=1)),
        Bookmark(timeline + 1, watermark + timedelta(seconds=30)),
    ):
        resumed = Watch(jobs, filter=of_queue(), bookmark=write_bookmark(bookmark))
        await (await resumed.synced()).until_state(job.id, _PENDING)


async def test_no_bookmark_comes_before_all_have_been_told(
    create: Create, jobs: JobServiceStub
) -> None:
    """Who resumed from it would miss the rest of the first round."""
    for _ in range(20):
        await create()
    watch = Watch(jobs, filter=of_queue())
    while not (message := await watch.read()).HasField("synced"):
        assert not message.bookmark
    assert message.bookmark
    assert len(watch.latest) == 20


async def test_reader_sees_what_its_session_or_user_may_see(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    def metadata(**names: str) -> tuple[tuple[str, str], ...]:
        return tuple((f"x-{name}-id", value) for name, value in names.items())

    ann, bob = metadata(user="ann", session="1"), metadata(user="bob", session="2")
    owners = {(await create(metadata=m)).id: m for m in (ann, bob, metadata(session="1"), ())}
    of_ann, of_bob, of_session, of_all = owners
    callers: dict[tuple[tuple[str, str], ...], set[str]] = {
        ann: {of_ann, of_session, of_all},
        bob: {of_bob, of_all},
        metadata(session="1"): {of_ann, of_session, of_all},
        metadata(user="ann"): {of_ann, of_all},
        metadata(user="Ann"): {of_all},
        (): {of_all},
    }
    first = {m: await Watch(jobs, m, filter=of_queue()).synced() for m in callers}
    bookmarks = {m: watch.bookmark for m, watch in first.items()}
    for _ in owners:
        await report(workers, success(await lease_one(workers)))
    await first[()].until_state(of_all, _COMPLETED)
    for m, visible in callers.items():
        assert set(first[m].latest) == visible
        for job_id in visible:
            await first[m].until_state(job_id, _COMPLETED)
        assert set(first[m].latest) == visible
        again = await Watch(jobs, m, filter=of_queue(), bookmark=bookmarks[m]).synced()
        assert set(again.latest) == visible
    own = await Watch(jobs, ann, filter=of_queue(own_user=True)).synced()
    assert set(own.latest) == {of_ann}
    own = await Watch(jobs, ann, filter=of_queue(own_session=True)).synced()
    assert set(own.latest) == {of_ann, of_session}


async def test_reader_that_does_not_read_is_ended_and_comes_back(
    jobs: JobServiceStub, server: Replica, queue: str
) -> None:
    """Updates of more jobs than may be pending, while the stream is not read."""
    # By default gRPC would take in whatever comes, in the name of the reader.
    narrow = (("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1))
    async with aio.insecure_channel(f"127.0.0.1:{server.port}", narrow) as channel:
        slow = await Watch(JobServiceStub(channel), filter=of_queue(), changes_only=True).synced()
        spec = job_pb2.JobSpec(queue="q")
        batch = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * 1000)
        created: set[str] = set()
        for _ in range(16):
            answer = await jobs.BatchCreateJobs(batch)
            created |= {each.job.id for each in answer.responses}
        # Another reader has seen them all, so the feed has passed them on.
        quick = Watch(jobs, filter=of_queue(), bookmark=slow.bookmark)
        await quick.until(lambda: quick.latest.keys() >= created)
        refusal = await refused(slow.until(lambda: slow.latest.keys() >= created))
        assert refusal.what == (grpc.StatusCode.UNAVAILABLE, "SLOW_CONSUMER")
        assert "RetryInfo" in refusal.details
        assert len(slow.latest) < 16_000 - MAX_PENDING
        resumed = Watch(jobs, filter=of_queue(), bookmark=slow.bookmark)
        await resumed.until(lambda: resumed.latest.keys() | slow.latest.keys() >= created)
