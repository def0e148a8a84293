"""The parent of several processes: its signals, its PostgreSQL, its HTTP listener."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from jobsvc.embedded import embedded_postgres
from jobsvc.event_loop.running import running
from jobsvc.http_server import Answer, http_listener
from jobsvc.processes.group import Group
from jobsvc.processes.shared_port import shared_port
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings
from jobsvc.tracing import can_be_scraped
from jobsvc.tracing.stderr_log import reload_level

#: Connections to the embedded PostgreSQL: of a process beside its pool, and of everybody else.
_BESIDE_POOL = 4
_OTHERS = 60


async def serve(
    settings: Settings, on_ready: Callable[[int], None], manager: ServiceManager
) -> int:
    """Serves by `settings.processes` processes until SIGTERM or SIGINT, then has all drain, and
    returns the exit code; SIGHUP reaches all of them. `on_ready` gets the port when all serve, and
    the service manager hears of all that. Call it on the main thread.

    Raises:
        EmbeddedUnavailable, PortTaken, HttpListenFailed: it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        listen = await stack.enter_async_context(shared_port(settings.listen))
        await stack.enter_async_context(running(("watchdog", manager.ping())))
        group = Group(replace(settings, listen=listen), stop, manager)

        def reload() -> None:
            if os.environ.get("JOBSVC_ENV_FILE"):
                reload_level()
            group.reload()

        loop.add_signal_handler(signal.SIGHUP, manager.reload, reload)
        paths: dict[str, Callable[[], Answer]] = {
            "/livez": group.is_live,
            "/readyz": group.is_ready,
        }
        if can_be_scraped():
            paths["/metrics"] = group.metrics
        stack.enter_context(http_listener(settings.http_listen, paths))
        embedded_dsn = await stack.enter_async_context(_database(settings))
        return await group.run(embedded_dsn, lambda: on_ready(int(listen.rpartition(":")[2])))


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str | None]:
    """The DSN of the embedded PostgreSQL, which runs until the end of the block with room for the
    connections of all processes; None if the settings name another one."""
    if settings.dsn is not None:
        yield None
        return
    needed = settings.processes * (settings.pool_size + _BESIDE_POOL) + _OTHERS
    async with (
        embedded_postgres(settings.data_dir, {"max_connections": f"{max(100, needed)}"}) as server,
        running(("embedded PostgreSQL", server.watch())),
    ):
        yield server.dsn
