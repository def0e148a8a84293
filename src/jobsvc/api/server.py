"""The gRPC server: services, health, reflection and channelz on one port."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from grpc import aio
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2_grpc

from jobsvc.api.connections import Connections
from jobsvc.api.gate import Gate
from jobsvc.api.guard import Guard
from jobsvc.api.health import Health
from jobsvc.api.listen_address import bind
from jobsvc.api.open_sockets import cut_connections, path_of
from jobsvc.api.reflection import add_reflection
from jobsvc.api.registration import GuardedServer, SharedQueueServer
from jobsvc.api.server_tls import ServerTls
from jobsvc.settings import Settings
from jobsvc.store.trouble_log import TroubleLog
from jobsvc.v1 import (
    externalscaler_pb2,
    job_service_pb2,
    queue_service_pb2,
    worker_service_pb2,
)
from jobsvc.v1.externalscaler_pb2_grpc import (
    ExternalScalerServicer,
    add_ExternalScalerServicer_to_server,
)
from jobsvc.v1.job_service_pb2_grpc import JobServiceServicer, add_JobServiceServicer_to_server
from jobsvc.v1.queue_service_pb2_grpc import (
    QueueServiceServicer,
    add_QueueServiceServicer_to_server,
)
from jobsvc.v1.worker_service_pb2_grpc import (
    WorkerServiceServicer,
    add_WorkerServiceServicer_to_server,
)

SERVICES: Sequence[str] = (
    job_service_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"].full_name,
    queue_service_pb2.DESCRIPTOR.services_by_name["QueueService"].full_name,
    externalscaler_pb2.DESCRIPTOR.services_by_name["ExternalScaler"].full_name,
)

_MAX_PENDING_CALLS = 100_000
#: Longest wait for calls to send their status.
_STATUS_SECONDS = 1.0


class GrpcServer:
    """A gRPC server that has not started yet."""

    def __init__(
        self,
        jobs: JobServiceServicer,
        workers: WorkerServiceServicer,
        queues: QueueServiceServicer,
        scaler: ExternalScalerServicer,
        guard: Guard,
        connections: Connections,
        troubles: TroubleLog,
        settings: Settings,
        gate: Gate | None = None,
    ) -> None:
        self._guard = guard
        self._connections = connections
        self._server = aio.server(options=server_options(settings, connections.most))
        self._shares_port = settings.processes > 1
        self._health = Health(SERVICES, troubles)
        guarded: Any = GuardedServer(self._server, guard)
        add_JobServiceServicer_to_server(jobs, guarded)
        add_WorkerServiceServicer_to_server(workers, guarded)
        add_QueueServiceServicer_to_server(queues, guarded)
        add_ExternalScalerServicer_to_server(scaler, guarded)
        unguarded: Any = SharedQueueServer(self._server, gate)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, unguarded)
        others = ("grpc.health.v1.Health", "grpc.channelz.v1.Channelz")
        add_reflection((*SERVICES, *others), unguarded)
        channelz.add_channelz_servicer(unguarded)

    @asynccontextmanager
    async def listening(self, address: str, tls: ServerTls | None = None) -> AsyncIterator[int]:
        """Serves on `address` (HOST:PORT or unix:PATH), over TLS if it is given, and yields the
        port (0 for a path). Calls that are open at the end are cut off.

        Raises:
            PortTaken: the server cannot listen on the address.
        """
        port = await bind(
            self._server, address, tls.credentials if tls else None, self._shares_port
        )
        await self._health.tell()
        await self._server.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                watches = [
                    tasks.create_task(self._health.run()),
                    tasks.create_task(self._connections.watch(port)),
                ]
                yield port
                for watch in watches:
                    watch.cancel()
        finally:
            cut_connections(port or path_of(address))
            await self._server.stop(grace=None)

    async def finish(self) -> None:
        """Waits a moment for the calls in progress to send their status. New calls still get one:
        in gRPC's own grace period they would be dropped without a status of ours."""
        await self._guard.until_ended(_STATUS_SECONDS)

    async def leave(self) -> None:
        """Says, by the health of the services, that the server is about to exit."""
        await self._health.leave()


def server_options(settings: Settings, max_connections: int) -> list[tuple[str, Any]]:
    """Returns the options of gRPC for everything that listens."""
    return [
        # Only processes of one server: two servers would share the calls without knowing it.
        ("grpc.so_reuseport", int(settings.processes > 1)),
        # A stream that is not read is sent 64 KiB, and a message that is being read all of itself.
        # By default gRPC would measure the line, and let each stream fill the memory for it.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_allowed_incoming_connections", max_connections),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", 16 * 1024),
        # Half-open connections are noticed in half a minute; eager clients are not sent away.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # For pings that gRPC sends on its own; it sends no others until they are answered.
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        # When everybody calls at once, as after a restart, calls wait, or the guard refuses them.
        # By default gRPC would cancel calls beyond a thousand; it still cancels those that have
        # waited for half a minute.
        ("grpc.server.max_pending_requests", _MAX_PENDING_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING_CALLS),
    ]
