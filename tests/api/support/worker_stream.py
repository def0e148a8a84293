"""One `Work` stream, moved by hand frame by frame."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as job_service
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.refusal import Refusal, refused
from tests.api.support.worker import WORKER, Results, results
from tests.support.stream_write import write


def subscribe(
    window: int = 10, worker_id: str = WORKER, queues: tuple[str, ...] = ("q",), **fields: Any
) -> pb.Subscribe:
    """A subscribe frame that breaks no rule."""
    return pb.Subscribe(
        worker=pb.WorkerInfo(worker_id=worker_id),
        queues=[pb.QueueSubscription(queue=queue) for queue in queues],
        window=window,
        **fields,
    )


class HandStream:
    """Frames in and out. Checks of every frame that their numbers have no gaps."""

    def __init__(self, call: aio.StreamStreamCall) -> None:
        self.call = call
        self.sequence = 0
        #: The resume token, once it has subscribed.
        self.token = ""

    async def send(self, **frame: Any) -> None:
        """Sends a frame: `send(set_window=…)`. When the server has ended the stream already, the
        next read says how."""
        await write(self.call, pb.WorkRequest(**frame))

    async def read(self) -> pb.WorkResponse:
        """The next frame, whatever it is."""
        frame = await self.call.read()
        assert frame is not aio.EOF, "the stream has ended with OK"
        assert frame.sequence == self.sequence + 1
        self.sequence = frame.sequence
        return frame

    async def frame(self, kind: str) -> Any:
        """The next frame that is no heartbeat; it must be of this kind."""
        frame = await self.read()
        while frame.WhichOneof("frame") == "heartbeat" and kind != "heartbeat":
            frame = await self.read()
        assert frame.WhichOneof("frame") == kind, frame
        return getattr(frame, kind)

    async def dispatched(self, acknowledge: bool = True) -> list[pb.JobLease]:
        """The leases of the next frame, by default acknowledged."""
        leases = list((await self.frame("dispatch")).leases)
        if acknowledge:
            await self.acknowledge()
        return leases

    async def acknowledge(self) -> None:
        """Acknowledges every frame so far."""
        await self.send(acknowledge=pb.Acknowledge(sequence=self.sequence))

    async def report(self, *outcomes: pb.JobOutcome) -> Results:
        """Reports outcomes; code and reason of each."""
        await self.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=outcomes))
        answer = await self.frame("outcome_results")
        assert [r.lease_id for r in answer.results] == [o.lease_id for o in outcomes]
        return results(answer)

    async def extend(self, *extensions: pb.LeaseExtension) -> list[pb.LeaseStatus]:
        """Extends leases; how each stands."""
        await self.send(extend_leases=pb.ExtendLeasesRequest(extensions=extensions))
        return list((await self.frame("lease_statuses")).leases)

    async def set_window(self, window: int) -> None:
        """Changes the window."""
        await self.send(set_window=pb.SetWindow(window=window))

    async def leave(self) -> None:
        """Half-closes; the stream must end with OK."""
        await self.call.done_writing()
        assert await self.call.read() is aio.EOF
        assert await self.call.code() == grpc.StatusCode.OK

    async def refusal(self) -> Refusal:
        """How the server ends the stream; nothing but heartbeats may come before."""

        async def to_the_end() -> None:
            while (frame := await self.call.read()) is not aio.EOF:
                assert frame.WhichOneof("frame") == "heartbeat", frame

        return await refused(to_the_end())


@asynccontextmanager
async def open_stream(channel: aio.Channel) -> AsyncIterator[HandStream]:
    """A stream on which nothing has been said; given up at the end of the block."""
    call = WorkerServiceStub(channel).Work()
    try:
        yield HandStream(call)
    finally:
        call.cancel()


@asynccontextmanager
async def work(channel: aio.Channel, window: int = 10, **fields: Any) -> AsyncIterator[HandStream]:
    """A stream that has subscribed."""
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe(window, **fields))
        stream.token = (await stream.frame("subscribed")).resume_token
        yield stream


async def create_many(jobs: JobServiceStub, count: int, **spec: Any) -> list[str]:
    """The ids of new jobs in their order."""
    item = job_service.CreateJobRequest(spec=job_pb2.JobSpec(queue="q", **spec))
    batch = job_service.BatchCreateJobsRequest(requests=[item] * count)
    return [answer.job.id for answer in (await jobs.BatchCreateJobs(batch)).responses]


async def answered(stream: HandStream) -> None:
    """Returns when the server has handled all frames so far and dealt what it then would deal."""
    assert await stream.extend(pb.LeaseExtension(lease_id="none")) == [
        pb.LeaseStatus(
            lease_id="none", state=pb.LEASE_STATE_LOST, reason="the lease is not current"
        )
    ]
