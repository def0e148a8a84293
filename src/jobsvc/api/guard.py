"""Around every handler: whatever happens in it, the caller gets a status of ours. Also the limits
on what is in hand at once, and the server's span of each unary call."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2
from grpc import aio
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.api.status import status_of
from jobsvc.domain.errors import InvalidRequest, JobsvcError, RateLimited, StreamLimit, Violation
from jobsvc.settings import Settings

log = logging.getLogger(__name__)

#: Methods whose calls may wait for something to happen.
_WAITING = ("/WaitJob", "/LeaseJobs")

Context = aio.ServicerContext[Any, Any]


class _Unreadable:
    """Stands for a request that is no message of its type."""


class Received(NamedTuple):
    """A message of a request stream, or None if it could not be decoded, and its size on the wire:
    to ask the message for it would cost more than decoding did."""

    message: Any
    size_bytes: int


class Slots:
    """A bounded number of calls in hand, refused rather than queued when it is reached.

    Entered once for each call.
    """

    def __init__(self, most: int, refusal: type[JobsvcError], what: str) -> None:
        self._most = most
        self._refusal = refusal
        self._what = what
        self._taken = 0

    def __enter__(self) -> None:
        """Takes a slot. Raises the refusal when there is none."""
        if self._taken >= self._most:
            raise self._refusal(f"the server has {self._most} {self._what} in hand; try again")
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        """Gives it back."""
        self._taken -= 1


class Guard:
    """Wraps every handler of the project's services, once, when they are registered.

    Not an interceptor: gRPC would ask that for the handler anew on every call.
    """

    def __init__(self, settings: Settings, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._traced = telemetry.is_traced()
        self._calls = Slots(settings.max_calls, RateLimited, "calls")
        # Apart, so that waiting callers cannot keep workers from extending and reporting.
        self._waits = Slots(settings.max_calls, RateLimited, "waiting calls")
        self._status = Slots(settings.max_status_streams, StreamLimit, "status streams")
        self._work = Slots(settings.max_worker_streams, StreamLimit, "worker streams")
        self._in_hand: set[asyncio.Task[Any]] = set()

    async def until_answered(self, seconds: float) -> None:
        """Waits, at most so long, until the calls in hand now have ended."""
        if self._in_hand:
            await asyncio.wait(list(self._in_hand), timeout=seconds)

    def before(self, server: aio.Server) -> Any:
        """What a generated `add_…_to_server` takes for a server: passes handlers on, wrapped."""
        return _Guarded(server, self)

    def wrap(self, method: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler of a method (`package.Service/Method`), wrapped."""
        decode = _forgiving(handler.request_deserializer)
        encode = handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary), decode, encode
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream), decode, encode
            )
        assert handler.stream_stream is not None, "the contract has no other kind"
        return grpc.stream_stream_rpc_method_handler(
            self._conversation(method, handler.stream_stream),
            _framing(handler.request_deserializer),
            encode,
        )

    def _note(self) -> None:
        # gRPC gives each call a task, which ends when the status is sent.
        if (call := asyncio.current_task()) is not None:
            self._in_hand.add(call)
            call.add_done_callback(self._in_hand.discard)

    def _unary(self, name: str, handle: Any) -> Any:
        slots = self._waits if name.endswith(_WAITING) else self._calls

        async def guarded(request: Any, context: Context) -> Any:
            self._note()
            with self._span(name, context) as span:
                try:
                    with slots:
                        _check_readable(request)
                        return await handle(request, context)
                except aio.AbortError:
                    raise
                except Exception as error:
                    status = _answer(error, name, span)
                return await _abort(context, status)

        return guarded

    def _stream(self, name: str, handle: Any) -> Any:
        async def guarded(request: Any, context: Context) -> None:
            self._note()
            try:
                with self._status:
                    _check_readable(request)
                    await handle(request, context)
                    return
            except aio.AbortError:
                raise
            except aio.InternalError:
                return  # A message could not be sent: the caller is gone.
            except Exception as error:
                status = _answer(error, name, trace.INVALID_SPAN)
            await _abort(context, status)

        return guarded

    def _conversation(self, name: str, handle: Any) -> Any:
        async def guarded(requests: Any, context: Context) -> None:
            self._note()
            try:
                with self._work:
                    await handle(requests, context)
                    return
            except aio.AbortError:
                raise
            except aio.InternalError:
                return  # A frame could not be sent: the worker is gone, nobody can be told.
            except Exception as error:
                status = _answer(error, name, trace.INVALID_SPAN)
            await _abort(context, status)

        return guarded

    def _span(self, name: str, context: Context) -> AbstractContextManager[trace.Span]:
        metadata = dict(context.invocation_metadata() or ())
        traceparent = str(metadata.get("traceparent", ""))
        if not traceparent and not self._traced:
            return nullcontext(trace.INVALID_SPAN)
        return self._tracer.start_as_current_span(
            name,
            context=telemetry.parent(traceparent, str(metadata.get("tracestate", ""))),
            kind=trace.SpanKind.SERVER,
            attributes={telemetry.RPC_SYSTEM: "grpc", telemetry.RPC_METHOD: name},
        )


class Unregistered:
    """Stands for a server where handlers are added, and keeps their methods from being registered.

    Calls of a registered method stand in a line of their own, and so hold up no others. But for
    each call that comes, gRPC goes through all lines: with our 38 methods, a tenth of a CreateJob.
    """

    def __init__(self, server: aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Adds the handlers of services."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Registers nothing: what it is given has come as the handlers of a service."""


#: Methods that callers or workers may call by the thousand at once. All others share a line, in
#: which reports, extensions and health checks do not stand behind those.
_WITH_A_LINE = {
    "CreateJob",
    "BatchCreateJobs",
    "GetJob",
    "WaitJob",
    "StreamJobStatus",
    "Work",
    "LeaseJobs",
}


class _Guarded:
    def __init__(self, server: aio.Server, guard: Guard) -> None:
        self._server = server
        self._guard = guard

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Adds nothing: what it is given comes once more by the names of its methods."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Adds the wrapped handlers of a service."""
        wrapped = {
            name: self._guard.wrap(f"{service}/{name}", handler)
            for name, handler in handlers.items()
        }
        generic = grpc.method_handlers_generic_handler(service, wrapped)
        self._server.add_generic_rpc_handlers((generic,))
        registered = {name: wrapped[name] for name in _WITH_A_LINE & wrapped.keys()}
        self._server.add_registered_method_handlers(service, registered)


def _forgiving(decode: Any) -> Any:
    """Decodes a request, or says that it cannot: gRPC itself would answer INTERNAL."""

    def forgiving(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return _Unreadable()

    return forgiving


def _check_readable(request: Any) -> None:
    if isinstance(request, _Unreadable):
        raise InvalidRequest([Violation("request", "cannot be decoded")])


def _framing(decode: Any) -> Any:
    """As `_forgiving`, for the messages of a stream."""

    def framing(data: bytes) -> Received:
        try:
            return Received(decode(data), len(data))
        except DecodeError:
            return Received(None, len(data))

    return framing


def _answer(error: Exception, name: str, span: trace.Span) -> status_pb2.Status:
    if isinstance(error, NotImplementedError):
        return status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message="not implemented yet")
    trace_id = span.get_span_context().trace_id
    status = status_of(error, f"{trace_id:032x}" if trace_id else "")
    if status.code == code_pb2.INTERNAL:
        log.error("%s failed, trace %032x", name, trace_id, exc_info=error)
    span.set_attribute(telemetry.RPC_STATUS_CODE, code_pb2.Code.Name(status.code))
    return status


async def _abort(context: Context, status: status_pb2.Status) -> None:
    await context.abort(
        _CODES[status.code],
        status.message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )


_CODES = {code.value[0]: code for code in grpc.StatusCode}
