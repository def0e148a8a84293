"""The outermost interceptor: whatever happens in a handler, the caller gets a status of ours. Also
the limits on what is in hand at once, and the server's span of each unary call."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2
from grpc import aio
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.api.status import status_of
from jobsvc.errors import InvalidRequest, JobsvcError, RateLimited, StreamLimit, Violation
from jobsvc.settings import Settings

log = logging.getLogger(__name__)

#: Methods whose calls may wait for something to happen.
_WAITING = ("/WaitJob", "/LeaseJobs")

Context = aio.ServicerContext[Any, Any]


class _Unreadable:
    """Stands for a request that is no message of its type."""


class Slots:
    """A bounded number of calls in hand, refused rather than queued when it is reached."""

    def __init__(self, most: int, refusal: type[JobsvcError], what: str) -> None:
        self._most = most
        self._refusal = refusal
        self._what = what
        self._taken = 0

    @contextmanager
    def taken(self) -> Any:
        """Holds a slot. Raises the refusal when there is none."""
        if self._taken >= self._most:
            raise self._refusal(f"the server has {self._most} {self._what} in hand; try again")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


class Guard(aio.ServerInterceptor):
    """Wraps every handler of the project's services."""

    def __init__(self, settings: Settings, tracer: trace.Tracer) -> None:
        self._tracer = tracer
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

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a method, wrapped."""
        handler = await continuation(details)
        method = details.method if isinstance(details.method, str) else details.method.decode()
        if handler is None or not method.startswith("/jobsvc."):
            return handler
        # gRPC gives each call a task, which ends when the status is sent.
        if (call := asyncio.current_task()) is not None:
            self._in_hand.add(call)
            call.add_done_callback(self._in_hand.discard)
        name = method.removeprefix("/")
        decode = _forgiving(handler.request_deserializer)
        encode = handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(name, handler.unary_unary), decode, encode
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(name, handler.unary_stream), decode, encode
            )
        assert handler.stream_stream is not None, "the contract has no other kind"
        return grpc.stream_stream_rpc_method_handler(
            self._conversation(name, handler.stream_stream), decode, encode
        )

    def _unary(self, name: str, handle: Any) -> Any:
        slots = self._waits if name.endswith(_WAITING) else self._calls

        async def guarded(request: Any, context: Context) -> Any:
            with self._span(name, context) as span:
                try:
                    with slots.taken():
                        _check_readable(request)
                        return await handle(request, context)
                except aio.AbortError:
                    raise
                except Exception as error:
                    status = _answer(error, name, span)
                return await _abort(context, status)

        return guarded

    def _stream(self, name: str, handle: Any) -> Any:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                with self._status.taken():
                    _check_readable(request)
                    async for response in handle(request, context):
                        yield response
                    return
            except aio.AbortError:
                raise
            except Exception as error:
                status = _answer(error, name, trace.INVALID_SPAN)
            await _abort(context, status)

        return guarded

    def _conversation(self, name: str, handle: Any) -> Any:
        async def guarded(requests: Any, context: Context) -> None:
            try:
                with self._work.taken():
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

    @contextmanager
    def _span(self, name: str, context: Context) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        parent = telemetry.parent(
            str(metadata.get("traceparent", "")), str(metadata.get("tracestate", ""))
        )
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=trace.SpanKind.SERVER,
            attributes={telemetry.RPC_SYSTEM: "grpc", telemetry.RPC_METHOD: name},
        ) as span:
            yield span


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


def is_readable(request: Any) -> bool:
    """Whether a message of a request stream could be decoded."""
    return not isinstance(request, _Unreadable)


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
