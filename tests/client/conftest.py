"""A peer that speaks the contract and answers from a script, and both clients behind one face."""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from jobsvc.client import AsyncClient, Client, JobUpdate
from jobsvc.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc, queue_service_pb2_grpc

JOB_ID = "0198c0de-0000-7000-8000-000000000001"
OTHER_ID = "0198c0de-0000-7000-8000-000000000002"


@dataclass(frozen=True)
class Failure:
    """A status that the peer ends a call with."""

    code: grpc.StatusCode
    message: str = "as scripted"
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    details: tuple[Any, ...] = ()

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """The status with its details, as the server sends it."""
        info = error_details_pb2.ErrorInfo(
            domain="jobsvc", reason=self.reason, metadata=self.metadata
        )
        packed = [any_pb2.Any() for _ in range(1 + len(self.details))]
        for box, detail in zip(packed, (info, *self.details), strict=True):
            box.Pack(detail)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


#: In a scripted stream: say nothing until the client goes away.
HANG = object()


@dataclass
class Call:
    """A call that the peer got."""

    method: str
    request: Any
    metadata: dict[str, str]
    seconds_left: float


class Peer(job_service_pb2_grpc.JobServiceServicer, queue_service_pb2_grpc.QueueServiceServicer):
    """Notes each call, then gives the next scripted answer: a reply, a Failure, or a function.

    The last answer of a method is given again and again.
    """

    def __init__(self) -> None:
        self.target = ""
        self.calls: list[Call] = []
        self._answers: dict[str, deque[Any]] = defaultdict(deque)

    def answer(self, method: str, *answers: Any) -> None:
        """Adds to the script of a method."""
        self._answers[method].extend(answers)

    def requests(self, method: str) -> list[Any]:
        """What was asked of a method, in order."""
        return [call.request for call in self.calls if call.method == method]

    def _next(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        metadata = {str(key): value for key, value in context.invocation_metadata()}
        self.calls.append(Call(method, request, metadata, context.time_remaining() or 0.0))
        script = self._answers[method]
        answer = script.popleft() if len(script) > 1 else script[0]
        return answer(request) if callable(answer) else answer

    def _unary(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        answer = self._next(method, request, context)
        if isinstance(answer, Failure):
            context.set_trailing_metadata(answer.trailers())
            context.abort(answer.code, answer.message)
        return answer

    def CreateJob(self, request: Any, context: Any) -> Any:
        return self._unary("CreateJob", request, context)

    def BatchCreateJobs(self, request: Any, context: Any) -> Any:
        return self._unary("BatchCreateJobs", request, context)

    def GetJob(self, request: Any, context: Any) -> Any:
        return self._unary("GetJob", request, context)

    def WaitJob(self, request: Any, context: Any) -> Any:
        return self._unary("WaitJob", request, context)

    def CancelJob(self, request: Any, context: Any) -> Any:
        return self._unary("CancelJob", request, context)

    def UpdateQueue(self, request: Any, context: Any) -> Any:
        return self._unary("UpdateQueue", request, context)

    def GetQueueStats(self, request: Any, context: Any) -> Any:
        return self._unary("GetQueueStats", request, context)

    def StreamJobStatus(self, request: Any, context: Any) -> Iterator[Any]:
        for item in self._next("StreamJobStatus", request, context):
            if item is HANG:
                gone = threading.Event()
                if context.add_callback(gone.set):
                    gone.wait(30)
                return
            if isinstance(item, Failure):
                context.set_trailing_metadata(item.trailers())
                context.abort(item.code, item.message)
            yield item


@pytest.fixture
def serve() -> Iterator[Callable[[Peer, int], int]]:
    """Puts a peer on a port (0: any), and returns the port."""
    servers: list[grpc.Server] = []

    def serve(peer: Peer, port: int) -> int:
        server = grpc.server(
            ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
        )
        job_service_pb2_grpc.add_JobServiceServicer_to_server(peer, server)
        queue_service_pb2_grpc.add_QueueServiceServicer_to_server(peer, server)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        servers.append(server)
        return bound

    yield serve
    for server in servers:
        server.stop(0).wait()


@pytest.fixture
def peer(serve: Callable[[Peer, int], int]) -> Peer:
    """A peer on a port of its own."""
    peer = Peer()
    peer.target = f"127.0.0.1:{serve(peer, 0)}"
    return peer


class Threaded:
    """The face of `AsyncClient` over a `Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *args, **options)

        return call

    async def follow(self, *args: Any, **options: Any) -> AsyncIterator[JobUpdate]:
        updates = self._client.follow(*args, **options)
        while (update := await asyncio.to_thread(next, updates, None)) is not None:
            yield update


@pytest.fixture(params=["async", "sync"])
async def connect(request: pytest.FixtureRequest, peer: Peer) -> AsyncIterator[Any]:
    """Makes clients of either kind, with any options, and closes them."""
    async with AsyncExitStack() as stack:

        async def connect(**options: Any) -> Any:
            if request.param == "async":
                return await stack.enter_async_context(AsyncClient(peer.target, **options))
            return Threaded(stack.enter_context(Client(peer.target, **options)))

        yield connect


@pytest.fixture
async def client(connect: Any) -> Any:
    """A client of either kind."""
    return await connect()


def job(
    state: job_pb2.JobState.ValueType = job_pb2.JOB_STATE_PENDING,
    version: int = 1,
    job_id: str = JOB_ID,
    output: str | None = None,
) -> job_pb2.Job:
    """A job as the server sends it."""
    return job_pb2.Job(
        id=job_id,
        spec=job_pb2.JobSpec(queue="news"),
        status=status(state, version, output),
    )


def status(
    state: job_pb2.JobState.ValueType, version: int, output: str | None = None
) -> job_pb2.JobStatus:
    """A status as the server sends it."""
    message = job_pb2.JobStatus(state=state, version=version)
    if state >= job_pb2.JOB_STATE_COMPLETED:
        message.end_time.FromSeconds(1_700_000_000)
    if output is not None:
        message.output.json_text = output
    return message


def update(
    state: job_pb2.JobState.ValueType,
    version: int,
    job_id: str = JOB_ID,
    output: str | None = None,
) -> job_service_pb2.StreamJobStatusResponse:
    """An update as the server sends it."""
    return job_service_pb2.StreamJobStatusResponse(
        update=job_service_pb2.JobUpdate(
            job_id=job_id, queue="news", status=status(state, version, output)
        )
    )
