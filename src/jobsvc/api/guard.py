"""Wraps every handler: checks limits and draining, reads the request when there is room for it,
reads the caller, opens the span of a unary call, and turns every exception into a status."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2
from grpc import aio
from opentelemetry import trace
from opentelemetry.context import Context as TraceContext

from jobsvc import telemetry
from jobsvc.api.admission import FREE_READS, Admission
from jobsvc.api.audit_trail import AuditTrail
from jobsvc.api.auth import CallerReader, Metadata, current_caller
from jobsvc.api.byte_budget import (
    ANSWER_SECONDS,
    REQUEST_SECONDS,
    SMALL_BYTES,
    Charge,
    ExpectedSize,
    current_charge,
)
from jobsvc.api.call_limit import CallLimit, caller_of
from jobsvc.api.connections import Connections
from jobsvc.api.convert.request_checks import UNDECODABLE
from jobsvc.api.gate import Gate
from jobsvc.api.large_message import decode_message
from jobsvc.api.status import reason_of, status_of
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.identity import Identity
from jobsvc.domain.methods import Method
from jobsvc.domain.share import Rate
from jobsvc.event_loop.turns import line, turn_caller
from jobsvc.telemetry.catalogue import CALLS_REFUSED, RPC_DURATION
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)

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
        self._connections = connections
        self._callers = callers
        self._gate = gate
        self._tracer = tracer
        self._trail = trail
        self._traced = telemetry.is_traced()
        #: What each call holds of the bytes.
        self._in_progress: dict[asyncio.Task[Any], Charge] = {}
        #: Requests that are being read, or wait for that.
        self._reads = 0
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
        limit = self._admission.unary_limit(method)
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
            caller, rate = self._caller(method, context, metadata)
            charge = self._begin(caller + apart, is_short)
            with self._span(name, metadata) as span:
                try:
                    if not limit.take(caller, rate):
                        await self._enter_late(limit, caller, rate, context)
                    try:
                        self._check(method, context, metadata)
                        if self._gate is not None:
                            identity = await self._identify(self._gate, method, context, metadata)
                            if (known := caller_of("", identity)) != caller:
                                await self._recount(
                                    limit, caller, known, _rate_of(method, identity), context
                                )
                                caller = known
                                charge.pass_to(caller + apart)
                        # No name for the request: its handler may be done with it early.
                        answer: bytes = encode(
                            await handle(
                                await self._read(method, decode, context, charge, expected.bytes),
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
        limit = self._admission.stream_limit(method)
        handle = self._bounded(method, handle)

        async def guarded(requests: Any, context: Context) -> None:
            begin, code = time.perf_counter(), _CANCELLED
            metadata: Metadata = context.invocation_metadata() or ()
            caller, rate = self._caller(method, context, metadata)
            charge = self._begin(caller, is_short=False)
            try:
                if not limit.take(caller, rate):
                    await self._enter_late(limit, caller, rate, context)
                try:
                    self._check(method, context, metadata)
                    if self._gate is not None:
                        identity = await self._identify(self._gate, method, context, metadata)
                        if (known := caller_of("", identity)) != caller:
                            await self._recount(
                                limit, caller, known, _rate_of(method, identity), context
                            )
                            caller = known
                            charge.pass_to(caller)
                    del metadata  # Thousands of streams would hold it until they end.
                    if decode is None:
                        await handle(requests, context)
                    else:
                        # No name for the request: its handler may be done with it early.
                        await handle(await self._read(method, decode, context, charge), context)
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

    def _caller(
        self, method: Method, context: Context, metadata: Metadata
    ) -> tuple[str, Rate | None]:
        """For whom a call counts at first, and how often that one may call: who makes it if that is
        known without work, else the address that it comes from."""
        identity = None if self._gate is None else self._gate.recall(context, metadata)
        if identity is None:
            return caller_of(context.peer()), None
        return caller_of("", identity), _rate_of(method, identity)

    async def _recount(
        self,
        limit: CallLimit,
        counted: str,
        caller: str,
        rate: Rate | None,
        context: Context,
    ) -> None:
        """Counts a call for who makes it, and no longer for whom it was counted until that was
        known.

        Raises:
            RateLimited, StreamLimit: there is no room for it; it counts as before.
        """
        if not limit.move(counted, caller, rate):
            await self._enter_late(limit, caller, rate, context)
            limit.leave(counted)
        turn_caller.set(caller)

    def _begin(self, caller: str, is_short: bool) -> Charge:
        """Notes that a call is in progress, and returns what it holds of the bytes."""
        charge = Charge(self._admission.bytes, caller)
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

    async def _enter_late(
        self, limit: CallLimit, caller: str, rate: Rate | None, context: Context
    ) -> None:
        """Counts a call after a wait, which is longer for a caller that is refused again and again.

        Raises:
            RateLimited, StreamLimit: there is still no room for it.
        """
        self._turns.leave_short(asyncio.current_task())
        remaining = context.time_remaining()
        # So that its caller hears of it before the deadline.
        await self._admission.late_refusals.wait(caller, remaining and remaining / 2)
        limit.enter(caller, rate)

    def _check(self, method: Method, context: Context, metadata: Metadata) -> None:
        """Refuses a call that its handler must not get, and sets the current caller unless there
        is a gate to be asked."""
        self._admission.check_draining(method)
        if self._connections.full:
            self._connections.check(context.peer())
        if self._gate is None and method.reads_caller:
            current_caller.set(self._callers.read(metadata))

    async def _identify(
        self, gate: Gate, method: Method, context: Context, metadata: Metadata
    ) -> Identity:
        """Refuses a call of somebody who may not make it, and sets the current caller. Returns who
        makes it."""
        identity = await gate.enter(method.roles, context, metadata)
        if method.reads_caller:
            current_caller.set(self._callers.read(metadata, identity))
        return identity

    def _bounded(self, method: Method, handle: Any) -> Any:
        return self._gate.bounded(handle) if self._gate is not None and method.waits else handle

    async def _read(
        self, method: Method, decode: Any, context: Context, charge: Charge, answer_bytes: int = 0
    ) -> Any:
        """Reads and decodes the request of a call, whose answer may have `answer_bytes`.

        Raises:
            RateLimited: there is no room for it.
            InvalidRequest: it cannot be decoded.
        """
        if method.large_requests:
            await charge.reserve(self._admission.max_request_bytes, REQUEST_SECONDS)
            data = await context.read()
        else:
            self._reads += 1
            try:
                if self._reads <= FREE_READS:
                    data = await context.read()
                else:
                    data = await self._read_in_turn(context, charge)
            finally:
                self._reads -= 1
        if data is aio.EOF:
            raise InvalidRequest([Violation("request", "is missing")])
        if method.large_requests:
            charge.settle(len(data) + answer_bytes)
        elif len(data) > SMALL_BYTES:
            charge.take(len(data))
        try:
            return await decode_message(decode, data)
        except DecodeError:
            raise InvalidRequest([Violation("request", UNDECODABLE)]) from None

    async def _read_in_turn(self, context: Context, charge: Charge) -> Any:
        """Reads a request, of whatever size, while others are read."""
        reading = charge.beside(self._admission.reading)
        await reading.reserve(self._admission.max_request_bytes, REQUEST_SECONDS)
        try:
            return await context.read()
        finally:
            reading.close()

    def _status(self, error: Exception, name: str, span: trace.Span) -> status_pb2.Status:
        """The status of a call that ends with an error, which is recorded."""
        self._refused.add(1, name, reason_of(error))
        return _status(error, name, span)

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


def _rate_of(method: Method, identity: Identity) -> Rate | None:
    """How often a caller may call a method; None if it may as often as it likes. To refuse reports
    and extensions would waste work that is done."""
    return None if method.served_while_draining else identity.share.calls


def _encoder(serialize: Any) -> Any:
    """Writes the messages of a stream. One that many streams get has been written already."""

    def encode(message: Any) -> bytes:
        return message if type(message) is bytes else serialize(message)

    return encode


def _status(error: Exception, name: str, span: trace.Span) -> status_pb2.Status:
    if isinstance(error, NotImplementedError):
        return status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message="not implemented yet")
    trace_id = span.get_span_context().trace_id
    status = status_of(error, f"{trace_id:032x}" if trace_id else "")
    if status.code == code_pb2.INTERNAL:
        log.error("%s failed, trace %032x", name, trace_id, exc_info=error)
    span.set_attribute(telemetry.RPC_STATUS_CODE, code_pb2.Code.Name(status.code))
    return status


async def abort(context: Context, status: status_pb2.Status) -> None:
    """Ends a call with a status and its details.

    gRPC keeps the error by which this ends in the call, and the error keeps the frames that it
    passes. A frame that holds the call would make a cycle, and all that it holds would stay until
    the collector comes: 25,000 such objects take it 30 ms. So no frame may hold the call by then.
    """
    ending = context.abort(
        _CODES[status.code],
        status.message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )
    del context
    await ending


_CODES = {code.value[0]: code for code in grpc.StatusCode}
