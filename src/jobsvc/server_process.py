"""The server as a process: signals, the wait for its database, what a service manager hears."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from jobsvc.api.server_tls import ServerTls
from jobsvc.api.waiting_server import waiting_server
from jobsvc.app import replica, running
from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.embedded import embedded_postgres
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings
from jobsvc.store.first_connection import until_there
from jobsvc.store.installation import FORMER_SCHEMA
from jobsvc.store.migrate import migrate
from jobsvc.tracing.stderr_log import reload_level


async def serve(
    settings: Settings, on_ready: Callable[[int], None], manager: ServiceManager
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; SIGHUP makes it read the level of the log and
    the files of TLS and authentication again. `on_ready` gets the port, and the service manager
    hears of all that.

    Raises:
        DsnInvalid, EmbeddedUnavailable, DatabaseUnavailable, DatabaseUnsuitable, PortTaken,
            FileUnusable: it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls = ServerTls.named(settings)
    reloads: list[Callable[[], None]] = [] if tls is None else [tls.files.reload]

    def reload() -> None:
        if not reloads or os.environ.get("JOBSVC_ENV_FILE"):
            reload_level()
        for action in reloads:
            action()

    loop.add_signal_handler(signal.SIGHUP, manager.reload, reload)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(("watchdog", manager.ping())))
        if tls is not None:
            await stack.enter_async_context(running(("certificate", tls.files.run())))
        dsn = settings.dsn
        if dsn is None:
            postgres = await stack.enter_async_context(embedded_postgres(settings.data_dir))
            dsn = postgres.dsn
            await stack.enter_async_context(running(("embedded PostgreSQL", postgres.watch())))
        if await until_prepared(dsn, settings, stop, manager, tls):
            async with replica(dsn, settings, tls) as serving:
                if settings.authenticates:
                    reloads.append(serving.reload)
                on_ready(serving.port)
                manager.tell("READY=1", status="serving")
                await stop.wait()
                manager.tell("STOPPING=1", status="draining")
                await serving.drain()
        else:
            manager.tell("STOPPING=1")


async def until_prepared(
    dsn: str,
    settings: Settings,
    stop: asyncio.Event,
    manager: ServiceManager,
    tls: ServerTls | None = None,
) -> bool:
    """Brings the schema up to date, and waits for a database that is not there as long as the
    settings say. False if `stop` was set first. Raises as `migrate`, and PortTaken."""
    preparing = asyncio.create_task(_prepare(dsn, settings, tls, manager))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([preparing, stopping], return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            await preparing
        return preparing.done()
    finally:
        for task in (preparing, stopping):
            task.cancel()
        await asyncio.wait([preparing, stopping])


async def _prepare(
    dsn: str, settings: Settings, tls: ServerTls | None, manager: ServiceManager
) -> None:
    # Nobody else uses an embedded database, so that what an older release made is moved unasked.
    move_from = FORMER_SCHEMA if settings.dsn is None else None
    attempt = partial(migrate, dsn, settings.schema, move_from)
    try:
        await attempt()
    except DatabaseUnavailable as error:
        if not settings.start_wait_seconds:
            raise
        manager.tell(status=f"waiting for the database: {error}")
        async with waiting_server(settings, tls):
            await until_there(attempt, error, settings.start_wait_seconds)
