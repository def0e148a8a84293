"""One conversation on `WorkerService.Work`: frames in, frames out. A frame out of order ends this
stream and nothing else."""

import asyncio
import logging
import time
from collections.abc import Sequence

from grpc import aio

from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.times import duration
from jobsvc.api.convert.work_frames import MAX_WINDOW, dispatch_frame, news_frame, worker_stream
from jobsvc.api.guard import Context
from jobsvc.api.outcomes import Outcomes
from jobsvc.api.resume_leases import take_over
from jobsvc.api.status import status_of
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.domain.errors import (
    DatabaseUnavailable,
    InvalidRequest,
    ServerDraining,
    WorkProtocolViolation,
)
from jobsvc.domain.lease import Extension
from jobsvc.settings import Settings
from jobsvc.store.store import Store
from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb

log = logging.getLogger(__name__)

#: Frames of one worker that may wait for their answers, and bytes of outcomes that may wait for the
#: database; reading pauses beyond.
_MAX_UNANSWERED = 64
_MAX_UNDECIDED_BYTES = 16 << 20


class WorkStream:
    """A worker's stream from `subscribe` to its end."""

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        server_id: str,
        settings: Settings,
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._outcomes = outcomes
        self._server_id = server_id
        self._settings = settings
        self._answers: list[pb.WorkResponse] = []
        self._sequence = 0
        self._encoding = 0
        self._most_leases = 0
        #: Frames of the worker whose answers have not gone out; the first is its subscribe.
        self._unanswered = 1
        #: Of reports whose outcomes are not decided.
        self._undecided_bytes = 0
        self._lessened = asyncio.Event()
        self._half_closed = False
        #: A dispatch is being written down.
        self._writing = False

    async def hold(self, context: Context) -> None:
        """Serves the worker until either side ends the stream.

        Raises:
            WorkProtocolViolation: a frame is malformed or out of order.
            WorkerDeaf, WorkerReplaced, ServerDraining: as the contract says.
        """
        stream = await self._subscribe(context)
        try:
            async with asyncio.TaskGroup() as tasks:
                # Watched apart from the writing, which may be stuck at a worker that never reads.
                watch = tasks.create_task(stream.until_ended())
                tasks.create_task(self._read(stream, context, tasks))
                await self._write(stream, context)
                watch.cancel()
        except BaseExceptionGroup as group:
            # The first error ends the conversation; what it brings down with it is logged.
            first, *rest = group.exceptions
            for error in rest:
                log.warning("work stream of %s: also %r", stream.worker_id, error)
            raise first from None
        finally:
            self._dispatcher.leave(stream)
            self._put_back(stream)

    def _put_back(self, stream: ConnectedWorker) -> None:
        """What never left goes back at once; what did, when its time to be confirmed is over:
        the worker may have it, and say so on its next stream."""
        # What cannot be written is not to come back forever.
        self._dispatcher.returns.put_back(
            [job.id for job in stream.undelivered], unsent=not self._writing
        )
        for since, lease_ids in stream.awaited():
            age = time.monotonic() - since
            self._dispatcher.returns.put_back(lease_ids, self._settings.acknowledge_seconds - age)

    # Subscribing.

    async def _subscribe(self, context: Context) -> ConnectedWorker:
        try:
            async with asyncio.timeout(self._settings.subscribe_seconds):
                received = await context.read()
        except TimeoutError:
            raise WorkProtocolViolation("no subscribe frame arrived in time") from None
        frame = None if received is aio.EOF else received.message
        if frame is None or not frame.HasField("subscribe"):
            raise WorkProtocolViolation("the first frame must be subscribe")
        request = frame.subscribe
        stream = worker_stream(request)
        self._encoding = request.payload_encoding
        self._most_leases = request.max_dispatch_leases
        await self._store.queues.declare(list(stream.subscription.limits))
        self._dispatcher.replace(stream.worker_id)
        statuses = await take_over(self._store.leases, stream, request.held_lease_ids)
        await self._dispatcher.returns.reclaim(stream.worker_id, stream.held)
        self._answer(
            stream,
            pb.WorkResponse(
                subscribed=pb.Subscribed(
                    server_id=self._server_id,
                    extend_interval=duration(await self._extend_seconds(stream)),
                    heartbeat_interval=duration(self._settings.heartbeat_interval_seconds),
                    held_leases=statuses,
                    limits=pb.ServerLimits(
                        max_payload_bytes=self._settings.max_payload_bytes,
                        max_message_bytes=self._settings.max_message_bytes,
                        max_batch_items=self._settings.max_batch_items,
                    ),
                    takes_succeeded_lease_ids=True,
                )
            ),
        )
        # On its own: as long as the headers are on their way with a frame, gRPC sends no status.
        await context.send_initial_metadata(())
        # Again: of two that subscribe at the same time, one joined while the other was at it.
        self._dispatcher.replace(stream.worker_id)
        self._dispatcher.join(stream)
        return stream

    async def _extend_seconds(self, stream: ConnectedWorker) -> float:
        """How often to extend: three times at least in the shortest lease that may come."""
        asked = stream.subscription.lease_seconds
        shortest = min(
            [await self._dispatcher.lease_seconds(q, asked) for q in stream.subscription.limits]
        )
        return min(self._settings.extend_interval_seconds, shortest / 3)

    # Reading.

    async def _read(
        self, stream: ConnectedWorker, context: Context, tasks: asyncio.TaskGroup
    ) -> None:
        while (received := await context.read()) is not aio.EOF:
            frame, size_bytes = received
            if frame is None:
                raise WorkProtocolViolation("the frame cannot be decoded")
            match frame.WhichOneof("frame"):
                case "acknowledge":
                    stream.confirm_frames(frame.acknowledge.sequence, time.monotonic())
                case "report_outcomes":
                    await self._turn(stream, size_bytes)
                    tasks.create_task(self._report(stream, frame.report_outcomes, size_bytes))
                case "extend_leases":
                    wishes = self._wishes(stream, frame.extend_leases)
                    await self._turn(stream)
                    tasks.create_task(self._extend(stream, frame.extend_leases, wishes))
                case "set_window":
                    window = frame.set_window.window
                    if not 0 <= window <= MAX_WINDOW:
                        raise WorkProtocolViolation(f"set_window: {window} is out of range")
                    stream.set_window(window)
                    self._dispatcher.room()
                case "subscribe":
                    raise WorkProtocolViolation("subscribe may come only once")
                case _:
                    raise WorkProtocolViolation("the frame is empty")
        self._half_closed = True
        stream.changed.set()

    async def _turn(self, stream: ConnectedWorker, size_bytes: int = 0) -> None:
        """Waits until a frame may be handled. Later ones are read meanwhile, so that outcomes of
        many frames share a commit; but no more than can be answered, if the worker reads at all."""
        while self._unanswered >= _MAX_UNANSWERED or self._undecided_bytes >= _MAX_UNDECIDED_BYTES:
            # That the database is slow is not held against the worker.
            stream.hear(self._undecided_bytes == 0, time.monotonic())
            self._lessened.clear()
            await self._lessened.wait()
        stream.hear(True, time.monotonic())
        self._unanswered += 1
        self._undecided_bytes += size_bytes

    async def _report(
        self, stream: ConnectedWorker, request: pb.ReportOutcomesRequest, size_bytes: int
    ) -> None:
        count = len(request.outcomes) + len(request.succeeded_lease_ids)
        if not 1 <= count <= self._settings.max_batch_items:
            raise WorkProtocolViolation("report_outcomes: the number of outcomes is out of range")
        if stream.unconfirmed:
            # The worker has spoken, however long it takes to write down what it said.
            stream.confirm(convert.reported_leases(request), time.monotonic())
        try:
            results = await self._outcomes.report(request, stream.worker_id, stream)
        except DatabaseUnavailable as error:
            # The worker sends them again; its stream lives on.
            statuses = [status_of(error)] * count
            results = convert.outcome_results(convert.reported_leases(request), statuses, count)
        self._undecided_bytes -= size_bytes
        self._lessened.set()
        self._answer(stream, pb.WorkResponse(outcome_results=results))

    def _wishes(
        self, stream: ConnectedWorker, request: pb.ExtendLeasesRequest
    ) -> list[Extension | None]:
        try:
            return convert.extensions(request, stream.worker_id, self._settings.max_batch_items)
        except InvalidRequest as error:
            raise WorkProtocolViolation(f"extend_leases: {error.message}") from None

    async def _extend(
        self,
        stream: ConnectedWorker,
        request: pb.ExtendLeasesRequest,
        wishes: Sequence[Extension | None],
    ) -> None:
        stream.confirm((wish.id for wish in wishes if wish is not None), time.monotonic())
        try:
            answer = await self._outcomes.extend(request, wishes)
        except DatabaseUnavailable:
            # No answer is no news: the worker extends again at the next interval.
            answer = pb.ExtendLeasesResponse()
        lost = [
            wish.id
            for wish, status in zip(wishes, answer.leases, strict=False)
            if wish is not None and status.state == pb.LEASE_STATE_LOST
        ]
        stream.drop(lost)
        if lost:
            self._dispatcher.room()
        self._answer(stream, pb.WorkResponse(lease_statuses=answer))

    # Writing.

    def _answer(self, stream: ConnectedWorker, frame: pb.WorkResponse) -> None:
        self._answers.append(frame)
        stream.changed.set()

    async def _write(self, stream: ConnectedWorker, context: Context) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.heartbeat_interval_seconds):
                    await stream.changed.wait()
            except TimeoutError:
                beat = pb.WorkResponse(heartbeat=job_pb2.StreamHeartbeat())
                beat.heartbeat.server_time.GetCurrentTime()
                await self._send(stream, context, beat)
                continue
            stream.changed.clear()
            while self._answers:
                answers, self._answers = self._answers, []
                for frame in answers:
                    await self._send(stream, context, frame)
                    self._unanswered -= 1
                    self._lessened.set()
            news, stream.news = stream.news, []
            for item in news:
                await self._send(stream, context, news_frame(item))
            if self._half_closed or stream.dismissed:
                if self._unanswered:
                    continue
                if self._half_closed:
                    return
                raise ServerDraining("the server is going; connect anew")
            if stream.undelivered:
                # One frame at a time: answers go first, or no more of the worker's would be read.
                await self._send_jobs(stream, context)
                stream.changed.set()

    async def _send_jobs(self, stream: ConnectedWorker, context: Context) -> None:
        self._writing = True
        frame, count = dispatch_frame(stream.undelivered, self._encoding, self._most_leases)
        self._writing = False
        was_behind = stream.subscription.is_behind
        stream.sent(self._sequence + 1, stream.take(count), time.monotonic())
        if was_behind:
            self._dispatcher.room()
        await self._send(stream, context, frame)

    async def _send(
        self, stream: ConnectedWorker, context: Context, frame: pb.WorkResponse
    ) -> None:
        self._sequence += 1
        frame.sequence = self._sequence
        await context.write(frame)
        if stream.subscription.is_stuck:
            stream.subscription.is_stuck = False
            self._dispatcher.room()
