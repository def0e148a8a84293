"""Registers the methods with gRPC, some with a request queue of their own.

Calls in one queue do not hold up those in another. But gRPC goes through all queues for each call
that arrives: with one for each method, that took a tenth of a CreateJob. So only methods that are
called by the thousand have their own. All others share one, in which reports, extensions and health
checks never stand behind those.
"""

from typing import Any

import grpc
from grpc import aio

from jobsvc.api.guard import Guard
from jobsvc.domain.methods import method_named


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
    """Given to an `add_…_to_server` instead of the server: no method gets its own queue."""

    def __init__(self, server: aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Adds the handlers of services."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Registers nothing: the same handlers have come before, as those of a service."""
