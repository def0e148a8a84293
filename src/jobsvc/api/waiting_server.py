"""The port of a server that waits for its database: it answers, and serves nothing yet."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2_grpc

from jobsvc.api.guard import abort
from jobsvc.api.health import Health
from jobsvc.api.listen_address import bind
from jobsvc.api.open_sockets import cut_connections, path_of
from jobsvc.api.server import SERVICES, server_options
from jobsvc.api.server_tls import ServerTls
from jobsvc.api.status import status_of
from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.settings import Settings

_STATUS = status_of(DatabaseUnavailable("the server waits for its database; try again"))


class _Refusal(grpc.GenericRpcHandler):
    """Answers each call of a method that nobody else has with UNAVAILABLE."""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler: on the wire, all kinds of calls look the same."""
        return grpc.stream_stream_rpc_method_handler(_refuse, None, None)


async def _refuse(_: Any, context: aio.ServicerContext[Any, Any]) -> None:
    await abort(context, _STATUS)


@asynccontextmanager
async def waiting_server(settings: Settings, tls: ServerTls | None = None) -> AsyncIterator[None]:
    """Listens until the end of the block, over TLS if `tls` is given. Health says NOT_SERVING, and
    that the process is alive; all other calls end with UNAVAILABLE.

    Raises:
        PortTaken: it cannot listen on the address.
    """
    server = aio.server(options=server_options(settings, settings.max_connections))
    health = Health(SERVICES, None)
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    server.add_generic_rpc_handlers((_Refusal(),))
    port = await bind(
        server, settings.listen, tls.credentials if tls else None, settings.processes > 1
    )
    await health.tell()
    await server.start()
    try:
        yield
    finally:
        cut_connections(port or path_of(settings.listen))
        await server.stop(grace=None)
