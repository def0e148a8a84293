"""Few requests are read at a time before it is known how large they are."""

import asyncio
from typing import Any

import grpc
from opentelemetry.trace import NoOpTracer

from jobsvc.api.admission import FREE_READS, Admission
from jobsvc.api.audit_trail import AuditTrail
from jobsvc.api.auth import CallerReader
from jobsvc.api.connections import Connections
from jobsvc.api.guard import Guard
from jobsvc.domain.methods import method_named
from jobsvc.settings import Settings
from tests.support.probe import eventually

_SENDERS = "ipv4:192.0.2.1"
_ANOTHER = "ipv4:192.0.2.2"


class _Unsent:
    """A call of gRPC's whose request does not arrive."""

    def __init__(self, caller: str) -> None:
        self.caller = caller
        self.is_read = False

    def peer(self) -> str:
        return f"{self.caller}:4711"

    def invocation_metadata(self) -> None:
        return None

    async def read(self) -> bytes:
        self.is_read = True
        await asyncio.Event().wait()
        return b""

    async def abort(self, *_: object) -> None:
        self.is_read = False


class _Calls:
    """Calls of methods that do nothing but read their request."""

    def __init__(self) -> None:
        admission = Admission(Settings())
        connections, trail = Connections(9, 20), AuditTrail(None)
        self._guard = Guard(admission, connections, CallerReader(b"key"), NoOpTracer(), trail)
        self._tasks: list[asyncio.Task[Any]] = []

    async def begin(self, method: str, caller: str, count: int = 1) -> list[_Unsent]:
        """Begins calls, and gives them time to be read."""
        handler = grpc.unary_unary_rpc_method_handler(lambda *_: None)
        wrapped: Any = self._guard.wrap(method_named(f"jobsvc.v1.{method}"), handler)
        contexts = [_Unsent(caller) for _ in range(count)]
        self._tasks += [asyncio.create_task(wrapped.stream_unary(None, c)) for c in contexts]
        for _ in range(5):
            await asyncio.sleep(0)  # passes
        return contexts

    def end(self) -> None:
        for task in self._tasks:
            task.cancel()


async def test_requests_of_one_caller_that_do_not_arrive_leave_room_to_others_and_to_workers() -> (
    None
):
    calls = _Calls()
    stuck = await calls.begin("JobService/CreateJob", _SENDERS, 200)
    assert FREE_READS < sum(call.is_read for call in stuck) <= 2 * FREE_READS
    assert (await calls.begin("JobService/CreateJob", _ANOTHER))[0].is_read
    # Its workers are its own address, and must report.
    assert (await calls.begin("WorkerService/ReportOutcomes", _SENDERS))[0].is_read
    # The others have not been read at all, and are refused.
    tasks = calls._tasks[:200]
    await eventually(lambda: sum(task.done() for task in tasks) > 200 - 2 * FREE_READS)
    calls.end()


async def test_room_of_a_request_that_has_arrived_goes_to_the_next() -> None:
    calls = _Calls()
    stuck = await calls.begin("JobService/GetJob", _SENDERS, 2 * FREE_READS)
    waiting = [call for call in stuck if not call.is_read]
    assert waiting
    calls._tasks[FREE_READS].cancel()
    for _ in range(5):
        await asyncio.sleep(0)  # passes
    assert waiting[0].is_read
    calls.end()
