"""The server's side of the contract, every frame of it under the control of a test.

It does what a real server does not do on demand: refuses an outcome, falls silent,
drains, loses a lease. It is no copy of jobsvc: it knows frames, and no rules.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import status_pb2

from jobsvc.v1 import queue_service_pb2 as queues
from jobsvc.v1 import queue_service_pb2_grpc, worker_service_pb2_grpc
from jobsvc.v1 import worker_service_pb2 as wire
from jobsvc.v1.payload_pb2 import Payload


class ScriptedStream:
    """One `Work` stream that a worker has opened."""

    def __init__(self) -> None:
        self._received: asyncio.Queue[wire.WorkRequest | None] = asyncio.Queue()
        self._to_send: asyncio.Queue[wire.WorkResponse | None] = asyncio.Queue()
        self._end: tuple[grpc.StatusCode, str] = (grpc.StatusCode.OK, "")
        self._sequence = 0
        self.subscribe = wire.Subscribe()
        #: The window that the worker set last; None before.
        self.window: int | None = None
        #: Set when the worker has half-closed or gone.
        self.closed = asyncio.Event()

    async def frame(self, kind: str) -> Any:
        """The next frame of this kind; others before it are dropped."""
        while (request := await self._received.get()) is not None:
            if request.WhichOneof("frame") == kind:
                return getattr(request, kind)
        raise AssertionError(f"the worker closed the stream without a frame {kind}")

    async def outcomes(self, count: int, confirm: bool = True) -> list[wire.JobOutcome]:
        """The next `count` outcomes, by default confirmed."""
        outcomes: list[wire.JobOutcome] = []
        while len(outcomes) < count:
            outcomes += (await self.frame("report_outcomes")).outcomes
        if confirm:
            await self.answer({outcome.lease_id: 0 for outcome in outcomes})
        return outcomes

    async def see_off(self) -> None:
        """Confirms every outcome until the worker half-closes, and ends the stream."""
        while (request := await self._received.get()) is not None:
            if outcomes := request.report_outcomes.outcomes:
                await self.answer({outcome.lease_id: 0 for outcome in outcomes})
        await self.finish()

    async def answer(self, codes: dict[str, int], message: str = "") -> None:
        """Answers outcomes with these codes."""
        results = [
            wire.OutcomeResult(lease_id=i, status=status_pb2.Status(code=c, message=message))
            for i, c in codes.items()
        ]
        await self.send(outcome_results=wire.ReportOutcomesResponse(results=results))

    async def dispatch(self, *leases: wire.JobLease) -> None:
        await self.send(
            dispatch=wire.LeaseJobsResponse(leases=leases, expires_in=Duration(seconds=30))
        )

    async def tell(self, lease_id: str, state: str, reason: str = "") -> None:
        """Sends the status of a lease; `state` is HELD, CANCEL_REQUESTED or LOST."""
        status = wire.LeaseStatus(
            lease_id=lease_id, state=wire.LeaseState.Value(f"LEASE_STATE_{state}"), reason=reason
        )
        await self.send(lease_statuses=wire.ExtendLeasesResponse(leases=[status]))

    async def accept(
        self,
        extend_seconds: float = 10.0,
        heartbeat_seconds: float = 15.0,
        held: dict[str, str] | None = None,
        takes_ids: bool = False,
        resume_token: str = "",
        **limits: int,
    ) -> None:
        """Answers `subscribe`."""
        extend, heartbeat = Duration(), Duration()
        extend.FromNanoseconds(int(extend_seconds * 1e9))
        heartbeat.FromNanoseconds(int(heartbeat_seconds * 1e9))
        await self.send(
            subscribed=wire.Subscribed(
                server_id="scripted",
                extend_interval=extend,
                heartbeat_interval=heartbeat,
                held_leases=[
                    wire.LeaseStatus(
                        lease_id=i, state=wire.LeaseState.Value(f"LEASE_STATE_{state}")
                    )
                    for i, state in (held or {}).items()
                ],
                limits=wire.ServerLimits(**limits),
                takes_succeeded_lease_ids=takes_ids,
                resume_token=resume_token,
            )
        )

    async def send(self, **frame: Any) -> None:
        self._sequence += 1
        await self._to_send.put(wire.WorkResponse(sequence=self._sequence, **frame))

    async def finish(self, code: grpc.StatusCode = grpc.StatusCode.OK, details: str = "") -> None:
        """Ends the stream."""
        self._end = code, details
        await self._to_send.put(None)

    async def serve(
        self, requests: AsyncIterator[wire.WorkRequest], context: Any
    ) -> AsyncIterator[wire.WorkResponse]:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(requests))
            while (response := await self._to_send.get()) is not None:
                yield response
            reading.cancel()
        if self._end[0] is not grpc.StatusCode.OK:
            await context.abort(*self._end)

    async def _read(self, requests: AsyncIterator[wire.WorkRequest]) -> None:
        try:
            async for request in requests:
                if request.WhichOneof("frame") == "set_window":
                    self.window = request.set_window.window
                await self._received.put(request)
        finally:
            self.closed.set()
            await self._received.put(None)


class ScriptedServer(
    worker_service_pb2_grpc.WorkerServiceServicer, queue_service_pb2_grpc.QueueServiceServicer
):
    """Streams as they are opened, and queues as they are declared."""

    def __init__(self) -> None:
        self.target = ""
        self.declared: dict[str, queues.UpdateQueueRequest] = {}
        #: Codes of the next calls of UpdateQueue; OK when empty.
        self.declare_codes: list[grpc.StatusCode] = []
        self._streams: asyncio.Queue[ScriptedStream] = asyncio.Queue()

    async def next_stream(self, accept: bool = True, **how: Any) -> ScriptedStream:
        """The next stream that a worker opens, subscribed."""
        stream = await self._streams.get()
        stream.subscribe = await stream.frame("subscribe")
        if accept:
            await stream.accept(**how)
        return stream

    @property
    def has_streams(self) -> bool:
        """Whether a worker has opened a stream that was not asked for yet."""
        return not self._streams.empty()

    async def Work(  # named by the contract
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[wire.WorkResponse]:
        stream = ScriptedStream()
        await self._streams.put(stream)
        async for response in stream.serve(request_iterator, context):
            yield response

    async def UpdateQueue(self, request: Any, context: Any) -> Any:  # as above
        if self.declare_codes:
            await context.abort(self.declare_codes.pop(0), "scripted")
        self.declared[request.queue.name] = request
        return queues.UpdateQueueResponse(queue=request.queue)


@asynccontextmanager
async def scripted_server(
    address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[ScriptedServer]:
    """A server that runs while the block does; with credentials it speaks TLS only."""
    servicer = ScriptedServer()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(servicer, server)
    queue_service_pb2_grpc.add_QueueServiceServicer_to_server(servicer, server)
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    servicer.target = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


def lease(lease_id: str, queue: str = "q", text: str = "{}", **fields: Any) -> wire.JobLease:
    """A leased job, as small as it can be."""
    return wire.JobLease(
        lease_id=lease_id,
        job_id=f"job-{lease_id}",
        queue=queue,
        attempt=1,
        input=Payload(json_text=text),
        **fields,
    )
