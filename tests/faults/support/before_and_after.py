"""An installation with a job for every promise: what a backup has of it, and what came after."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from grpc import aio

from jobsvc.app import replica
from jobsvc.client import AsyncClient, Job, RetryPolicy
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.worker import OK, lease_one, release, report, success
from tests.support.settings import TEST_SETTINGS

SESSION = "session-of-ada-7Zq0vX3n"
#: Nobody works here.
QUIET = "quiet"
#: A schema each of the time before and the time that is lost.
BEFORE = {"type": "object", "maxProperties": 7}
LOST = {"type": "object", "maxProperties": 8}


class Installation:
    """A replica, and those who talk to it."""

    def __init__(self, target: str, channel: aio.Channel, client: AsyncClient) -> None:
        self.target = target
        self.client = client
        self.workers = WorkerServiceStub(channel)  # type: ignore[no-untyped-call]

    async def create_leased(self, queue: str, max_attempts: int = 3) -> tuple[Job, pb.JobLease]:
        """A job that is leased; the queue has no other."""
        await self.client.declare_queue(queue)
        retry = RetryPolicy(max_attempts=max_attempts)
        job = await self.client.create(queue, retry=retry)
        return job, await lease_one(self.workers, queues=[queue])


@asynccontextmanager
async def installation(dsn: str) -> AsyncIterator[Installation]:
    """Runs a replica in this process."""
    async with replica(dsn, TEST_SETTINGS) as running:
        target = f"127.0.0.1:{running.port}"
        async with aio.insecure_channel(target) as channel, AsyncClient(target) as client:
            yield Installation(target, channel, client)


@dataclass
class Story:
    """What happened before and after the moment of a backup, by the ids of jobs."""

    #: Waiting in QUIET, with this request id.
    asked: str
    asked_by: str
    #: Waiting in QUIET, and of SESSION.
    owned: str
    #: Completed.
    ended: str
    #: Leased on its last attempt; completed in the time that is lost.
    last: pb.JobLease
    #: Leased; its worker reports after the restore.
    held: pb.JobLease
    #: Leased, and to be cancelled.
    cancelling: str
    #: Waiting; cancelled in the time that is lost.
    cancelled: str
    #: Waiting; released again and again in the time that is lost.
    watched: str
    #: Created in the time that is lost, with this request id.
    late: str = ""
    late_by: str = ""
    #: The last that was seen of `watched`.
    seen: Job | None = None
    #: The id that LOST had.
    lost_schema_id: int = 0

    @property
    def of_before(self) -> list[str]:
        """All jobs that the backup has."""
        return [
            *(self.asked, self.owned, self.ended, self.last.job_id, self.held.job_id),
            *(self.cancelling, self.cancelled, self.watched),
        ]


async def before(at: Installation) -> Story:
    """Makes what a backup is to have."""
    client, workers = at.client, at.workers
    for queue in (QUIET, "typed"):
        await client.declare_queue(queue)
    await client.declare_queue("typed", input_schema=BEFORE)
    asked_by = str(uuid4())
    asked = await client.create(QUIET, request_id=asked_by)
    async with AsyncClient(at.target, session_id=SESSION) as ada:
        owned = await ada.create(QUIET)
    ended, lease = await at.create_leased("ended")
    assert await report(workers, success(lease, '{"a": 1}')) == [OK]
    _, last = await at.create_leased("last", max_attempts=1)
    _, held = await at.create_leased("held")
    cancelling, _ = await at.create_leased("cancelling")
    await client.cancel(cancelling.id)
    cancelled = await client.create(QUIET)
    await client.declare_queue("watched")
    watched = await client.create("watched")
    return Story(
        asked=asked.id,
        asked_by=asked_by,
        owned=owned.id,
        ended=ended.id,
        last=last,
        held=held,
        cancelling=cancelling.id,
        cancelled=cancelled.id,
        watched=watched.id,
    )


async def after(at: Installation, story: Story) -> None:
    """Does what a restore loses."""
    client, workers = at.client, at.workers
    story.late_by = str(uuid4())
    story.late = (await client.create(QUIET, request_id=story.late_by)).id
    await client.cancel(story.cancelled)
    assert await report(workers, success(story.last)) == [OK]
    await client.delete(story.ended)
    await client.declare_queue("typed", input_schema=LOST)
    for _ in range(3):
        lease = await lease_one(workers, queues=["watched"])
        assert await report(workers, release(lease)) == [OK]
    story.seen = await client.get(story.watched)
