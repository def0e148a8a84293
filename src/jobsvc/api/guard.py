"""Wraps every handler: lets the call in, reads its request, opens the span of a unary call, and
turns every exception into a status."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc
from google.rpc import code_pb2, status_pb2
from grpc import aio
from opentelemetry import trace
from opentelemetry.context import Context as TraceContext

from jobsvc import telemetry
from jobsvc.api.admission import Admission
from jobsvc.api.audit_trail import AuditTrail
from jobsvc.api.auth import CallerReader, Metadata
from jobsvc.api.byte_budget import (
    ANSWER_SECONDS,
    SMALL_BYTES,
    Charge,
    ExpectedSize,
    current_charge,
)
from jobsvc.api.call_end import abort, ending_status
from jobsvc.api.call_entry import CallEntry, kind_of
from jobsvc.api.call_limit import caller_of
from jobsvc.api.connections import Connections
from jobsvc.api.gate import Gate
from jobsvc.api.request_reading import RequestReading
from jobsvc.api.status import reason_of
from jobsvc.domain.methods import Method
from jobsvc.domain.share import CallTerms
from jobsvc.event_loop.turns import line, turn_caller
from jobsvc.telemetry.catalogue import CALLS_REFUSED, RPC_DURATION
from jobsvc.telemetry.measurements import Measurements

Context = aio.ServicerContext[Any, Any]

_OK = "OK"
#: Of a call that its caller, or the end of the server, has ended.
_CANCELLED = "CANCELLED"


class Guard:
    """Wraps every handler of the project's services, once, when they are registered.

    Not an interceptor: gRPC would ask that for the handler anew on every call.
    """

    def __init__(
        self,
        admission: Admission,
        connections: Connections,
        callers: CallerReader,
        tracer: trace.Tracer,
        trail: AuditTrail,
        gate: Gate | None = None,
        measurements: Measurements | None = None,
    ) -> None:
        """Without a gate, nobody is asked who it is."""
        measurements = Measurements() if measurements is None else measurements
        self._durations = measurements.distribution(RPC_DURATION)
        self._refused = measurements.tally(CALLS_REFUSED)
        self._admission = admission
        self._entry = CallEntry(admission, connections, callers, gate)
        self._gate = gate
        self._tracer = tracer
        self._trail = trail
        self._traced = telemetry.is_traced()
        #: What each call holds of the bytes.
        self._in_progress: dict[asyncio.Task[Any], Charge] = {}
        self._requests = RequestReading(admission)
        self._turns = line()

    async def until_ended(self, seconds: float) -> None:
        """Waits until the calls in progress now have ended, but at most `seconds`."""
        if self._in_progress:
            await asyncio.wait(list(self._in_progress), timeout=seconds)

    def wrap(self, method: Method, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a method, wrapped.

        To gRPC every request is a stream of bytes, even that of a unary call, which looks the same
        on the wire: gRPC would read a single request before it asks anybody.

        Raises:
            LookupError: callers are authenticated, and the method's row names no role.
        """
        if self._gate is not None and not method.roles:
            raise LookupError(f"{method.full_name} has no role in jobsvc.domain.methods.METHODS")
        if handler.unary_unary:
            return grpc.stream_unary_rpc_method_handler(self._unary(method, handler), None, None)
        if handler.unary_stream:
            serve = self._stream(method, handler.unary_stream, handler.request_deserializer)
        else:
            assert handler.stream_stream is not None, "the contract has no other kind"
            serve = self._stream(method, handler.stream_stream, None)
        return grpc.stream_stream_rpc_method_handler(
            serve, None, _encoder(handler.response_serializer)
        )

    def _unary(self, method: Method, handler: Any) -> Any:
        name = method.full_name
        limit, kind = self._admission.unary_limit(method), kind_of(method, False)
        handle = self._bounded(method, self._trail.wrap(method, handler.unary_unary))
        encode = handler.response_serializer
        decode = handler.request_deserializer
        expected = ExpectedSize()

        is_short = not (method.waits or method.large_requests)
        # A worker's reports need not wait for other calls from its address.
        apart = " reports" if method.served_while_draining else ""

        async def guarded(requests: object, context: Context) -> Any:
            begin, code = time.perf_counter(), _CANCELLED
            metadata: Metadata = context.invocation_metadata() or ()
            caller, terms, recalled = self._entry.first_caller(kind, context, metadata)
            charge = self._begin(caller + apart, terms, is_short)
            with self._span(name, metadata) as span:
                try:
                    if not limit.take(caller, terms):
                        await self._entry.count_late(limit, caller, terms, context)
                    try:
                        self._entry.check(method, context, metadata)
                        if self._gate is not None:
                            caller = await self._entry.identify(
                                self._gate,
                                method,
                                kind,
                                context,
                                metadata,
                                recalled,
                                limit,
                                caller,
                                charge,
                                apart,
                            )
                        # No name for the request: its handler may be done with it early.
                        answer: bytes = encode(
                            await handle(
                                await self._requests.read(
                                    method, decode, context, charge, expected.bytes
                                ),
                                context,
                            )
                        )
                    finally:
                        limit.leave(caller)
                    # It counts until it is sent. What has been written must be told.
                    size_bytes = len(answer)
                    if method.reads and size_bytes > max(charge.held_bytes, SMALL_BYTES):
                        await charge.exchange(size_bytes, ANSWER_SECONDS)
                    elif charge.held_bytes or size_bytes > SMALL_BYTES:
                        charge.settle(size_bytes)
                        expected.saw(size_bytes)
                    code = _OK
                    return answer
                except aio.AbortError:
                    raise
                except Exception as error:
                    self._trail.refused(method, caller_of(context.peer()), error)
                    status = self._status(error, name, span)
                    code = code_pb2.Code.Name(status.code)
                finally:
                    seconds = time.perf_counter() - begin
                    self._durations.record(seconds, "grpc", name, code)
                    if span.is_recording():
                        traceparent, _ = telemetry.headers(span)
                        self._durations.exemplify(seconds, traceparent, "grpc", name, code)
                answer = b""  # see abort
                ending = abort(context, status)
                del requests, context
                return await ending

        return guarded

    def _stream(self, method: Method, handle: Any, decode: Any) -> Any:
        """`decode` for the one request of a call; None for a handler that reads them itself."""
        name = method.full_name
        limit, kind = self._admission.stream_limit(method), kind_of(method, True)
        handle = self._bounded(method, handle)

        async def guarded(requests: Any, context: Context) -> None:
            begin, code = time.perf_counter(), _CANCELLED
            metadata: Metadata = context.invocation_metadata() or ()
            caller, terms, recalled = self._entry.first_caller(kind, context, metadata)
            charge = self._begin(caller, terms, is_short=False)
            try:
                if not limit.take(caller, terms):
                    await self._entry.count_late(limit, caller, terms, context)
                try:
                    self._entry.check(method, context, metadata)
                    if self._gate is not None:
                        caller = await self._entry.identify(
                            self._gate,
                            method,
                            kind,
                            context,
                            metadata,
                            recalled,
                            limit,
                            caller,
                            charge,
                        )
                    # Thousands of streams would hold them until they end.
                    del metadata, recalled
                    if decode is None:
                        await handle(requests, context)
                    else:
                        # No name for the request: its handler may be done with it early.
                        await handle(
                            await self._requests.read(method, decode, context, charge), context
                        )
                    code = _OK
                    return
                finally:
                    limit.leave(caller)
            except aio.AbortError:
                raise
            except aio.InternalError:
                return  # A message could not be sent: the caller is gone, nobody can be told.
            except Exception as error:
                self._trail.refused(method, caller_of(context.peer()), error)
                status = self._status(error, name, trace.INVALID_SPAN)
                code = code_pb2.Code.Name(status.code)
            finally:
                self._durations.record(time.perf_counter() - begin, "grpc", name, code)
            ending = abort(context, status)
            del requests, context  # see abort
            await ending

        return guarded

    def _bounded(self, method: Method, handle: Any) -> Any:
        return self._gate.bounded(handle) if self._gate is not None and method.waits else handle

    def _begin(self, caller: str, terms: CallTerms | None, is_short: bool) -> Charge:
        """Notes that a call is in progress, and returns what it holds of the bytes."""
        charge = Charge(self._admission.bytes, caller, terms and terms.most_bytes)
        current_charge.set(charge)
        turn_caller.set(caller)
        # gRPC gives each call a task, which ends when the status is sent.
        if (call := asyncio.current_task()) is not None:
            self._in_progress[call] = charge
            call.add_done_callback(self._end)
            if is_short:
                self._turns.enter_short(call)
        return charge

    def _end(self, call: asyncio.Task[Any]) -> None:
        self._in_progress.pop(call).close()
        self._turns.leave_short(call)

    def _status(self, error: Exception, name: str, span: trace.Span) -> status_pb2.Status:
        """The status of a call that ends with an error, which is recorded."""
        self._refused.add(1, name, reason_of(error))
        return ending_status(error, name, span)

    def _span(self, name: str, metadata: Metadata) -> AbstractContextManager[trace.Span]:
        parent = telemetry.remote_parent(metadata)
        if parent is None and not self._traced:
            return nullcontext(trace.INVALID_SPAN)
        return self._tracer.start_as_current_span(
            name,
            context=parent or TraceContext(),
            kind=trace.SpanKind.SERVER,
            attributes={telemetry.RPC_SYSTEM: "grpc", telemetry.RPC_METHOD: name},
        )


def _encoder(serialize: Any) -> Any:
    """Writes the messages of a stream. One that many streams get has been written already."""

    def encode(message: Any) -> bytes:
        return message if type(message) is bytes else serialize(message)

    return encode
