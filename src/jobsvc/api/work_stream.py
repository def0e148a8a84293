"""One stream of `WorkerService.Work`: frames in, frames out. A frame out of order ends this stream
and nothing else."""

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from grpc import aio

from jobsvc.api.byte_budget import REQUEST_SECONDS, SMALL_BYTES, Charge, current_charge
from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.work_frames import (
    dispatch_frame,
    notice_frame,
    write_long_input,
)
from jobsvc.api.gate import credentials_ended
from jobsvc.api.guard import Context
from jobsvc.api.outcomes import Outcomes
from jobsvc.api.status import status_of
from jobsvc.api.work_frame import (
    count_outcomes,
    decode_frame,
    make_room,
    read_extensions,
    read_window,
)
from jobsvc.api.work_subscriber import WorkSubscriber
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.errors import (
    DatabaseUnavailable,
    RateLimited,
    ServerDraining,
    WorkProtocolViolation,
)
from jobsvc.domain.lease import Extension
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb

log = logging.getLogger(__name__)

#: Frames of one worker that may wait for their responses, and bytes of its outcomes that may wait
#: for the database; reading pauses beyond.
_MAX_UNANSWERED = 64
_MAX_UNDECIDED_BYTES = 16 << 20
#: A broken connection ends the frames as a worker does, and is known as a cancellation only then.
_BREAK_SECONDS = 0.05
#: Frames that a worker sends only if it has heard what was sent to it.
_SIGNS_OF_HEARING = ("acknowledge", "extend_leases", "report_outcomes")


class WorkStream:
    """A worker's stream from `subscribe` to its end."""

    def __init__(
        self,
        subscriber: WorkSubscriber,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        redelivery: Redelivery,
        settings: Settings,
    ) -> None:
        self._subscriber = subscriber
        self._dispatcher = dispatcher
        self._outcomes = outcomes
        self._redelivery = redelivery
        self._settings = settings
        self._responses: list[pb.WorkResponse] = []
        self._sequence = 0
        self._encoding = 0
        self._max_leases = 0
        #: Frames of the worker whose responses have not gone out; the first is its subscribe.
        self._unanswered = 1
        #: Bytes of reports whose outcomes are not decided.
        self._undecided_bytes = 0
        self._capacity_freed = asyncio.Event()
        self._half_closed = False
        #: Whether a dispatch frame is being written.
        self._writing = False
        #: What the stream holds of the bytes: a dispatch frame that is being sent.
        self._sent = current_charge.get().apart()

    async def serve(self, context: Context) -> None:
        """Serves the worker until either side ends the stream.

        Raises:
            WorkProtocolViolation: a frame is malformed or out of order.
            WorkerDeaf, WorkerReplaced, ServerDraining: as the contract says.
        """
        subscribed = await self._subscriber.subscribe(context)
        worker = subscribed.worker
        self._encoding = subscribed.payload_encoding
        self._max_leases = subscribed.max_dispatch_leases
        self._respond(worker, subscribed.response)
        try:
            async with asyncio.TaskGroup() as tasks:
                # Watched apart from the writing, which may be stuck at a worker that never reads.
                watch = tasks.create_task(worker.until_ended())
                tasks.create_task(self._read(worker, context, tasks))
                await self._write(worker, context)
                watch.cancel()
        except BaseExceptionGroup as group:
            # The first error ends the stream; the errors that it causes are logged.
            first, *rest = group.exceptions
            for error in rest:
                log.warning("work stream of %s: also %r", worker.worker_id, error)
            raise first from None
        finally:
            self._subscriber.leave(subscribed, credentials_ended() or sys.exception())
            self._redeliver(worker)
            worker.forget()
            self._sent.close()

    def _redeliver(self, worker: ConnectedWorker) -> None:
        """Redelivers unsent jobs at once, and sent ones when their time to be acknowledged is over:
        the worker may have them, and say so on its next stream."""
        # A job that cannot be written must not come back forever, so its redelivery counts.
        self._redelivery.schedule([job.id for job in worker.undelivered], unsent=not self._writing)
        for since, lease_ids in worker.awaiting_acknowledgement():
            age = time.monotonic() - since
            self._redelivery.schedule(lease_ids, self._settings.acknowledge_seconds - age)

    # Reading.

    async def _read(
        self, worker: ConnectedWorker, context: Context, tasks: asyncio.TaskGroup
    ) -> None:
        charge = current_charge.get()
        while (data := await context.read()) is not aio.EOF:
            size_bytes = len(data)
            await make_room(worker, charge, size_bytes)
            frame = await decode_frame(data)
            del data  # Both are large.
            kind = frame.WhichOneof("frame")
            if worker.trial_time is not None and kind in _SIGNS_OF_HEARING:
                self._dispatcher.hears(worker)
            match kind:
                case "acknowledge":
                    worker.acknowledge_frames(frame.acknowledge.sequence, time.monotonic())
                case "report_outcomes":
                    await self._admit(worker, size_bytes)
                    tasks.create_task(
                        self._report(worker, charge, frame.report_outcomes, size_bytes)
                    )
                    continue  # It holds its bytes until it is decided.
                case "extend_leases":
                    extensions = read_extensions(
                        frame.extend_leases, worker.worker_id, self._settings.max_batch_items
                    )
                    await self._admit(worker)
                    tasks.create_task(self._extend(worker, frame.extend_leases, extensions))
                case "set_window":
                    self._dispatcher.set_window(worker, read_window(frame.set_window))
                    worker.comes_back = frame.set_window.comes_back
                case "subscribe":
                    raise WorkProtocolViolation("subscribe may come only once")
                case _:
                    raise WorkProtocolViolation("the frame is empty")
            charge.give_back(size_bytes)
        self._half_closed = True
        worker.changed.set()

    async def _admit(self, worker: ConnectedWorker, size_bytes: int = 0) -> None:
        """Waits until a frame may be handled. Later frames are read meanwhile, so that outcomes of
        many frames share a commit; but only as many as can be answered, if the worker reads."""
        while self._unanswered >= _MAX_UNANSWERED or self._undecided_bytes >= _MAX_UNDECIDED_BYTES:
            # A slow database is not held against the worker.
            worker.set_reading(self._undecided_bytes == 0, time.monotonic())
            self._capacity_freed.clear()
            await self._capacity_freed.wait()
        worker.set_reading(True, time.monotonic())
        self._unanswered += 1
        self._undecided_bytes += size_bytes

    async def _report(
        self,
        worker: ConnectedWorker,
        charge: Charge,
        request: pb.ReportOutcomesRequest,
        size_bytes: int,
    ) -> None:
        count = count_outcomes(request, self._settings.max_batch_items)
        if worker.unacknowledged:
            # The report acknowledges its leases, however long the database takes to record it.
            worker.acknowledge_leases(convert.reported_leases(request), time.monotonic())
        try:
            results = await self._outcomes.report(request, worker.worker_id, worker)
        except DatabaseUnavailable as error:
            # The worker sends them again; its stream lives on.
            statuses = [status_of(error)] * count
            results = convert.outcome_results(convert.reported_leases(request), statuses, count)
        log.debug("%d outcomes of %s", count, worker.worker_id)
        self._undecided_bytes -= size_bytes
        charge.give_back(size_bytes)
        self._capacity_freed.set()
        self._respond(worker, pb.WorkResponse(outcome_results=results))

    async def _extend(
        self,
        worker: ConnectedWorker,
        request: pb.ExtendLeasesRequest,
        extensions: Sequence[Extension | None],
    ) -> None:
        worker.acknowledge_leases((e.id for e in extensions if e is not None), time.monotonic())
        worker.saw_lengths(e.duration_seconds or 0.0 for e in extensions if e is not None)
        try:
            response = await self._outcomes.extend(request, extensions)
        except DatabaseUnavailable:
            # An empty response says nothing: the worker extends again at the next interval.
            response = pb.ExtendLeasesResponse()
        lost = [
            extension.id
            for extension, status in zip(extensions, response.leases, strict=False)
            if extension is not None and status.state == pb.LEASE_STATE_LOST
        ]
        worker.drop(lost)
        if lost:
            self._dispatcher.capacity_freed()
        self._respond(worker, pb.WorkResponse(lease_statuses=response))

    # Writing.

    def _respond(self, worker: ConnectedWorker, frame: pb.WorkResponse) -> None:
        self._responses.append(frame)
        worker.changed.set()

    async def _write(self, worker: ConnectedWorker, context: Context) -> None:
        while True:
            try:
                async with asyncio.timeout(self._settings.heartbeat_interval_seconds):
                    await worker.changed.wait()
            except TimeoutError:
                beat = pb.WorkResponse(heartbeat=job_pb2.StreamHeartbeat())
                beat.heartbeat.server_time.GetCurrentTime()
                await self._send(worker, context, beat)
                continue
            worker.changed.clear()
            while self._responses:
                responses, self._responses = self._responses, []
                for frame in responses:
                    await self._send(worker, context, frame)
                    self._unanswered -= 1
                    self._capacity_freed.set()
            for notice in worker.take_notices():
                await self._send(worker, context, notice_frame(notice))
            if self._half_closed or worker.dismissal:
                if self._unanswered:
                    continue
                if self._half_closed:
                    await asyncio.sleep(_BREAK_SECONDS)
                    return
                raise ServerDraining(worker.dismissal)
            if worker.undelivered:
                # One frame at a time: responses go first, or no more of the worker's frames would
                # be read.
                await self._send_jobs(worker, context)
                worker.changed.set()

    async def _send_jobs(self, worker: ConnectedWorker, context: Context) -> None:
        frame, count = self._next_frame(worker)
        size_bytes = max(frame.ByteSize(), len(worker.undelivered[0].input or ""))
        if size_bytes > SMALL_BYTES and not self._sent.take_at_once(size_bytes):
            del frame  # Jobs may be taken away meanwhile.
            with suppress(RateLimited):  # Responses must not wait for long.
                await self._sent.reserve(size_bytes, REQUEST_SECONDS)
            if not self._sent.held_bytes or not worker.undelivered:
                self._sent.close()
                return
            frame, count = self._next_frame(worker)
        was_behind = worker.subscription.is_behind
        first = worker.undelivered[0]
        worker.sent(self._sequence + 1, worker.take(count), time.monotonic())
        log.debug("frame %d to %s: %d jobs", self._sequence + 1, worker.worker_id, count)
        if was_behind:
            self._dispatcher.capacity_freed()
        await write_long_input(frame.dispatch, first, self._encoding)
        await self._send(worker, context, frame)
        self._sent.close()

    def _next_frame(self, worker: ConnectedWorker) -> tuple[pb.WorkResponse, int]:
        self._writing = True
        frame, count = dispatch_frame(worker.undelivered, self._encoding, self._max_leases)
        self._writing = False
        return frame, count

    async def _send(
        self, worker: ConnectedWorker, context: Context, frame: pb.WorkResponse
    ) -> None:
        self._sequence += 1
        frame.sequence = self._sequence
        await context.write(frame)
        if worker.subscription.is_stuck:
            worker.subscription.is_stuck = False
            self._dispatcher.capacity_freed()
