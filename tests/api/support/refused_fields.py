"""Which fields of a request the server refuses, by whatever call, in whatever way that call tells:
a status, a result for an item, or the end of a stream."""

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc import aio

from jobsvc.v1 import worker_service_pb2 as workers
from tests.api.support.refusal import details_of, refusal
from tests.support.stream_write import write

#: Of a call that waits for what never comes.
_WAIT_SECONDS = 0.6
_SUBSCRIBE = workers.WorkRequest(
    subscribe=workers.Subscribe(
        worker=workers.WorkerInfo(worker_id="refused-fields"),
        queues=[workers.QueueSubscription(queue="q")],
    )
)


async def refused_fields(channel: aio.Channel, method: MethodDescriptor, request: Any) -> list[str]:
    """The paths that the server refuses, from the request on; empty if it refuses another thing,
    or nothing."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    coders = (type(request).SerializeToString, GetMessageClass(method.output_type).FromString)
    try:
        if method.client_streaming:
            return await _on_stream(channel.stream_stream(path, *coders)(), method.name, request)
        if method.server_streaming:
            call = channel.unary_stream(path, *coders)(request)
            await call.read()
            call.cancel()
            return []
        timeout = _WAIT_SECONDS if _waits(request) else None
        answer = await channel.unary_unary(path, *coders)(request, timeout=timeout)
    except aio.AioRpcError as error:
        return _fields(refusal(error).details, error.code() == grpc.StatusCode.INVALID_ARGUMENT)
    if isinstance(answer, workers.ReportOutcomesResponse):
        return _of_outcomes(request, answer)
    return []


def _waits(request: Any) -> bool:
    return isinstance(request, workers.LeaseJobsRequest) and request.HasField("wait")


async def _on_stream(call: Any, name: str, request: Any) -> list[str]:
    try:
        if name == "Submit":
            return await _submitted(call, request)
        return await _worked(call, request)
    finally:
        call.cancel()


async def _submitted(call: Any, request: Any) -> list[str]:
    await write(call, request)
    await call.done_writing()
    found = []
    while (response := await call.read()) is not aio.EOF:
        for result in response.results:
            violations = _of_status(result.error)
            found += [f"jobs[0].{_in_submit_job(field)}" for field in violations]
    return found


def _in_submit_job(field: str) -> str:
    """The path in the `SubmitJob`; an error has that in its `request`, as of `CreateJob`."""
    return field if field in {"session_id", "user_id"} else f"request.{field}"


async def _worked(call: Any, request: workers.WorkRequest) -> list[str]:
    if not request.HasField("subscribe"):
        await write(call, _SUBSCRIBE)
        await _frame(call, "subscribed")
    await write(call, request)
    match request.WhichOneof("frame"):
        case "subscribe":
            await _frame(call, "subscribed")
        case "extend_leases":
            await _frame(call, "lease_statuses")
        case "report_outcomes":
            answer = await _frame(call, "outcome_results")
            paths = _of_outcomes(request.report_outcomes, answer.outcome_results)
            return [f"report_outcomes.{path}" for path in paths]
        case "set_window":
            await call.done_writing()
            while await call.read() is not aio.EOF:
                pass
    return []


async def _frame(call: Any, kind: str) -> workers.WorkResponse:
    while (frame := await call.read()) is not aio.EOF:
        if frame.WhichOneof("frame") == kind:
            return frame  # type: ignore[no-any-return]  # of a WorkResponse
    raise AssertionError(f"the stream has ended without {kind}")


def _of_outcomes(
    request: workers.ReportOutcomesRequest, answer: workers.ReportOutcomesResponse
) -> list[str]:
    ids = [outcome.lease_id for outcome in request.outcomes]
    return [
        f"outcomes[{ids.index(result.lease_id)}].{field}"
        for result in answer.results
        if result.lease_id in ids
        for field in _of_status(result.status)
    ]


def _of_status(status: status_pb2.Status) -> list[str]:
    invalid = status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    return _fields(details_of(status), invalid)


def _fields(details: dict[str, Any], is_invalid: bool) -> list[str]:
    violations: Iterable[Any] = ()
    if is_invalid and "BadRequest" in details:
        violations = details["BadRequest"].field_violations
    return [violation.field for violation in violations]
