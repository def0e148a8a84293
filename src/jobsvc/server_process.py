"""The server as a process: signals, the wait for its database, what a service manager hears."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack
from functools import partial

from jobsvc.api.server_tls import ServerTls
from jobsvc.api.waiting_server import waiting_server
from jobsvc.app import Replica, replica
from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.embedded import embedded_postgres
from jobsvc.event_loop.running import running
from jobsvc.http_server import Answer, Paths, http_listener
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings
from jobsvc.store.first_connection import until_there
from jobsvc.store.installation import FORMER_SCHEMA
from jobsvc.store.migrate import migrate
from jobsvc.tracing import can_be_scraped
from jobsvc.tracing.stderr_log import reload_level

log = logging.getLogger(__name__)

#: A loop that does not answer for so long is not alive.
_LIVE_SECONDS = 5.0


class Probes:
    """What the HTTP listener answers, on threads of its own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, live_seconds: float = _LIVE_SECONDS
    ) -> None:
        self._loop = loop
        self._live_seconds = live_seconds
        #: Set while there is one.
        self.replica: Replica | None = None

    def is_live(self) -> Answer:
        """Whether the event loop turns."""
        try:
            answer = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop)
            answer.result(self._live_seconds)
        except (TimeoutError, RuntimeError):
            return Answer(b"the event loop does not answer\n", is_ok=False)
        return Answer(b"ok\n")

    def is_ready(self) -> Answer:
        """Whether the server is worth calling, as gRPC's health says of it as a whole."""
        why = "waiting for the database" if self.replica is None else self.replica.why_not_ready
        return Answer(f"{why or 'ok'}\n".encode(), is_ok=not why)

    def paths(self) -> Paths:
        """What each path answers, metrics included where they can be scraped."""
        paths: dict[str, Callable[[], Answer]] = {"/livez": self.is_live, "/readyz": self.is_ready}
        if can_be_scraped():
            from jobsvc.tracing.prometheus import CONTENT_TYPE, prometheus_text

            text = prometheus_text()
            paths["/metrics"] = lambda: Answer(text(), content_type=CONTENT_TYPE)
        return paths


async def serve(
    settings: Settings,
    on_ready: Callable[[int], None],
    manager: ServiceManager,
    answering: Callable[[Paths], AbstractContextManager[None]] | None = None,
    embedded_dsn: str | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; SIGHUP makes it read the level of the log and
    the files of TLS and authentication again. `on_ready` gets the port, and the service manager
    hears of all that. `answering` answers the paths of HTTP in place of a listener, and
    `embedded_dsn` is of an embedded PostgreSQL that runs already.

    Raises:
        DsnInvalid, EmbeddedUnavailable, DatabaseUnavailable, DatabaseUnsuitable, PortTaken,
            FileUnusable, HttpListenFailed: it cannot start.
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
    probes = Probes(loop)
    async with AsyncExitStack() as stack:
        if settings.http_listen is not None:
            answer = answering or partial(http_listener, settings.http_listen)
            stack.enter_context(answer(probes.paths()))
        await stack.enter_async_context(running(("watchdog", manager.ping())))
        if tls is not None:
            await stack.enter_async_context(running(("certificate", tls.files.run())))
        dsn, postgres = settings.dsn or embedded_dsn, None
        if dsn is None:
            postgres = await stack.enter_async_context(embedded_postgres(settings.data_dir))
            dsn = postgres.dsn
            await stack.enter_async_context(running(("embedded PostgreSQL", postgres.watch())))
        if await until_prepared(dsn, settings, stop, manager, tls):
            async with replica(dsn, settings, tls, postgres=postgres) as serving:
                probes.replica = serving
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
