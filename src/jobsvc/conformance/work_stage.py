"""Where a point about a worker is played: `Work` streams as the worker opens them."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from grpc import aio

from jobsvc.conformance.payloads import JsonObject, read
from jobsvc.conformance.point import RuleBroken
from jobsvc.conformance.refusal import Refusal
from jobsvc.conformance.served_stream import ServedStream
from jobsvc.conformance.stage import SOON_SECONDS, START_SECONDS, Stage
from jobsvc.conformance.work_record import Report, WorkRecord
from jobsvc.v1 import queue_service_pb2 as queues
from jobsvc.v1 import queue_service_pb2_grpc, worker_service_pb2_grpc
from jobsvc.v1 import worker_service_pb2 as wire
from jobsvc.v1.worker_service_pb2 import JobOutcome


class WorkStage(Stage):
    """A worker and the streams that it has opened."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        super().__init__(command, folder)
        self.record = WorkRecord()
        #: All streams, in the order in which they were opened.
        self.streams: list[ServedStream] = []
        #: What the next streams end with, at once.
        self.refusals: list[Refusal] = []
        #: When those were opened.
        self.refused: list[float] = []
        self._taken = 0

    async def subscribed(self, within: float = START_SECONDS, **how: Any) -> ServedStream:
        """Starts the worker if there is none, and returns its next stream, subscribed.

        `how` goes to `ServedStream.accept`; Any: its arguments.
        """
        stream = await self.opened(within)
        stream.accept(**how)
        return stream

    async def opened(self, within: float = START_SECONDS) -> ServedStream:
        """Starts the worker if there is none, and returns its next stream, with `subscribe`."""
        if not self._programs:
            await self.start()
        which = " on another stream" if self.streams else f" at {self.address}"
        await self.until(lambda: self.has_opened, within, f"`subscribe`{which}")
        stream = self.streams[self._taken]
        self._taken += 1
        return stream

    @property
    def has_opened(self) -> bool:
        """Whether there is a stream with `subscribe` that was not taken yet."""
        waiting = self.streams[self._taken : self._taken + 1]
        return bool(waiting) and waiting[0].subscribe is not None

    async def outcome(
        self, lease_id: str, kind: str = "", within: float = SOON_SECONDS, after: int = 0
    ) -> JobOutcome:
        """Waits for an outcome of a lease, the one that follows on so many, and returns it.

        Raises:
            RuleBroken: there is none, or it is of another kind than the one that is named.
        """
        which = " again" if after else ""
        await self.until(
            lambda: len(self.record.of(lease_id)) > after, within, f"outcome of a job{which}"
        )
        outcome = self.record.of(lease_id)[after].outcome
        found = outcome.WhichOneof("result")
        if kind and found != kind:
            raise RuleBroken(f"an outcome is `{found}`, not `{kind}`")
        return outcome

    async def returned(self, lease_id: str, within: float = SOON_SECONDS) -> JsonObject:
        """Waits for a success, and returns its output."""
        outcome = await self.outcome(lease_id, "success", within)
        value = read(outcome.success.output)
        if value is None:
            raise RuleBroken("an output is no JSON object")
        return value

    def reports(self, lease_id: str) -> list[Report]:
        """The outcomes of a lease so far."""
        return self.record.of(lease_id)

    def extensions(self, lease_id: str) -> list[float]:
        """The times at which a lease was extended."""
        return self.record.extensions.get(lease_id, [])

    def _check(self) -> None:
        self.violation = self.record.violation
        super()._check()

    def _add_services(self, server: aio.Server) -> None:
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(
            _Work(self),  # type: ignore[abstract]  # no point needs the others
            server,
        )
        queue_service_pb2_grpc.add_QueueServiceServicer_to_server(
            _Queues(),  # type: ignore[abstract]  # as above
            server,
        )


class _Work(worker_service_pb2_grpc.WorkerServiceServicer):
    def __init__(self, stage: WorkStage) -> None:
        self._stage = stage

    async def Work(  # type: ignore[override]  # it writes to the context
        self,
        request_iterator: AsyncIterator[wire.WorkRequest],
        context: aio.ServicerContext[wire.WorkRequest, wire.WorkResponse],
    ) -> None:
        stage = self._stage
        stage.note_call()
        stream = ServedStream(stage.record, context)
        if stage.refusals:
            # Read first: gRPC for Python may report a status that comes before it has written as
            # INTERNAL.
            await anext(request_iterator)
            stage.refused.append(stream.opened_at)
            await stage.refusals.pop(0).end(context)
        stage.streams.append(stream)
        await stream.serve(request_iterator)


class _Queues(queue_service_pb2_grpc.QueueServiceServicer):
    """Workers may declare their queues."""

    async def UpdateQueue(
        self, request: queues.UpdateQueueRequest, context: Any
    ) -> queues.UpdateQueueResponse:
        return queues.UpdateQueueResponse(queue=request.queue)
