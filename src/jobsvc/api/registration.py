"""Registers the methods with gRPC, some with a request queue of their own.

Calls in one queue do not hold up those in another. But gRPC goes through all queues for each call
that arrives: with one for each method, that took a tenth of a CreateJob. So only methods that are
called by the thousand have their own. All others share one, in which reports, extensions and health
checks never stand behind those.
"""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

from inspect import isawaitable
from typing import Any

import grpc
from grpc import aio

from jobsvc.api.audit_trail import AuditTrail
from jobsvc.api.call_end import abort
from jobsvc.api.call_limit import caller_of
from jobsvc.api.gate import Gate
from jobsvc.api.guard import Context, Guard
from jobsvc.api.status import status_of
from jobsvc.domain.errors import JobsvcError
from jobsvc.domain.methods import OTHER_SERVICES, Method, method_named


class GuardedServer:
    """Given to a generated `add_…_to_server` instead of the server: wraps every handler."""

    def __init__(self, server: aio.Server, guard: Guard) -> None:
        self._server = server
        self._guard = guard

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Adds nothing: the same handlers come once more by the names of their methods."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Adds the handlers of a service, wrapped.

        Raises:
            LookupError: a method has no row.
        """
        methods = {name: method_named(f"{service}/{name}") for name in handlers}
        wrapped = {
            name: self._guard.wrap(methods[name], handler) for name, handler in handlers.items()
        }
        generic = grpc.method_handlers_generic_handler(service, wrapped)
        self._server.add_generic_rpc_handlers((generic,))
        # gRPC makes a queue for each method that is registered.
        registered = {name: wrapped[name] for name in wrapped if methods[name].own_request_queue}
        self._server.add_registered_method_handlers(service, registered)


class SharedQueueServer:
    """Given to an `add_…_to_server` instead of the server: no method gets its own queue. For
    services that are not ours."""

    def __init__(
        self, server: aio.Server, gate: Gate | None = None, trail: AuditTrail | None = None
    ) -> None:
        """With a gate, callers need the roles that `OTHER_SERVICES` names; `trail` notes who has
        none of them."""
        self._server = server
        self._gate = gate
        self._trail = trail

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Adds the handlers of services.

        Raises:
            LookupError: callers are authenticated, and a service has no row.
        """
        if self._gate is not None:
            handlers = [_Gated(handler, self._gate, self._trail) for handler in handlers]
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Registers nothing: the same handlers have come before, as those of a service."""


class _Gated(grpc.GenericRpcHandler):
    """The handlers of a service that is not ours, for callers who have a role."""

    def __init__(self, handlers: Any, gate: Gate, trail: AuditTrail | None) -> None:
        name = handlers.service_name()
        roles = OTHER_SERVICES.get(name)
        if roles is None:
            raise LookupError(f"{name} has no row in jobsvc.domain.methods.OTHER_SERVICES")
        self._handlers = handlers
        self._service = name
        self._roles = roles
        self._gate = gate
        self._trail = trail

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the handler of a method; None if the service has none."""
        # Any: to type checkers, handlers have no attributes.
        handler: Any = self._handlers.service(handler_call_details)
        if handler is None or not self._roles:
            return handler  # type: ignore[no-any-return]
        name = handler_call_details.method.rpartition("/")[2]
        method = Method(self._service, name, roles=self._roles)
        coders = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary), *coders
            )
        assert handler.stream_stream, "the services have no other kind"
        return grpc.stream_stream_rpc_method_handler(
            self._stream(method, handler.stream_stream), *coders
        )

    def _unary(self, method: Method, handle: Any) -> Any:
        async def gated(request: Any, context: Context) -> Any:
            await self._enter(method, context)
            answer = handle(request, context)
            return await answer if isawaitable(answer) else answer

        return gated

    def _stream(self, method: Method, handle: Any) -> Any:
        async def gated(requests: Any, context: Context) -> Any:
            await self._enter(method, context)
            async for answer in handle(requests, context):
                yield answer

        return gated

    async def _enter(self, method: Method, context: Context) -> None:
        try:
            await self._gate.enter(self._roles, context, context.invocation_metadata() or ())
        except JobsvcError as error:
            if self._trail is not None:
                self._trail.refused(method, caller_of(context.peer()), error)
            await abort(context, status_of(error))
