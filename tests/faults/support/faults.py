"""What each kind of fault does to an installation, and how it sees that it was met."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from tests.e2e.support.history import Fault
from tests.e2e.support.proxy import Proxy
from tests.faults.support.installation import DRAIN_SECONDS, START_SECONDS, Installation
from tests.faults.support.load import Load
from tests.faults.support.schedule import Kind, Planned
from tests.support.looking import look_at
from tests.support.probe import eventually

#: On top of the drain: ending the streams, closing the pool, and a machine that is busy.
_EXIT_MARGIN_SECONDS = 20.0
_LOCK = "LOCK TABLE job, waiting, lease, result, attempt IN ACCESS EXCLUSIVE MODE"
_BLOCKED = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'jobsvc%'
"""


class Faults:
    """Brings about planned faults, and notes when they were and what they met."""

    def __init__(self, installation: Installation, load: Load, began: float) -> None:
        """`began` is when the run did, in seconds since 1970; each fault prints a line."""
        self._installation = installation
        self._began = began
        self._load = load
        self._acts: dict[Kind, Callable[[Planned], Awaitable[int]]] = {
            Kind.KILL_SERVER: self._kill_server,
            Kind.FREEZE_SERVER: self._freeze_server,
            Kind.RESTART_SERVER: self._restart_server,
            Kind.KILL_WORKER: self._kill_worker,
            Kind.FREEZE_WORKER: self._freeze_worker,
            Kind.POISON_WORKER: self._poison_worker,
            Kind.KILL_POSTGRES: self._kill_postgres,
            Kind.END_SESSIONS: self._end_sessions,
            Kind.LOCK_TABLES: self._lock_tables,
            Kind.HOLD_TRANSACTION: self._hold_transaction,
            Kind.CUT_WORKERS: self._cut_workers,
            Kind.SILENCE_WORKERS: self._silence_workers,
            Kind.EAT_ANSWERS: self._eat_answers,
        }

    async def happen(self, planned: Planned) -> None:
        """Brings a fault about, and mends it."""
        begin_time = time.time()
        hits = await self._acts[planned.kind](planned)
        end_time = time.time()
        self._installation.stage.history.note(
            Fault(kind=planned.kind, begin_time=begin_time, end_time=end_time, hits=hits)
        )
        print(
            f"{begin_time - self._began:6.1f} s  {planned.kind:<17} {planned.victim}"
            f"  {end_time - begin_time:4.1f} s  met {hits}",
            flush=True,
        )

    async def _kill_server(self, planned: Planned) -> int:
        async with self._installation.server_locks[planned.victim]:
            server = self._installation.servers[planned.victim]
            server.kill()
            await _for(planned)
            await self._installation.start_server(planned.victim)
            return int(server.exit_code == -signal.SIGKILL)

    async def _freeze_server(self, planned: Planned) -> int:
        async with self._installation.server_locks[planned.victim]:
            server = self._installation.servers[planned.victim]
            server.freeze()
            await _for(planned)
            server.thaw()
            return 1

    async def _restart_server(self, planned: Planned) -> int:
        async with self._installation.server_locks[planned.victim]:
            server = self._installation.servers[planned.victim]
            server.terminate()
            code = await server.exited(DRAIN_SECONDS + _EXIT_MARGIN_SECONDS)
            if code != 0:
                self._installation.surprises.append(
                    f"server {planned.victim} drained and ended with {code}: "
                    f"{server.stderr[-1500:]}"
                )
            await self._installation.start_server(planned.victim)
            return 1

    async def _kill_worker(self, planned: Planned) -> int:
        async with self._installation.worker_locks[planned.victim]:
            worker = self._installation.workers[planned.victim]
            worker.kill()
            await _for(planned)
            await self._installation.start_worker(planned.victim)
            await self._installation.worker_ready(planned.victim)
            return 1

    async def _freeze_worker(self, planned: Planned) -> int:
        async with self._installation.worker_locks[planned.victim]:
            worker = self._installation.workers[planned.victim]
            if worker.exit_code is not None:
                return 0
            worker.freeze()
            await _for(planned)
            worker.thaw()
            return 1

    async def _poison_worker(self, _: Planned) -> int:
        return await self._load.poison()

    async def _kill_postgres(self, _: Planned) -> int:
        installation = self._installation
        async with installation.database_lock:
            killed = installation.postmaster()
            os.kill(killed, signal.SIGKILL)
            await eventually(
                lambda: installation.postmaster() not in (0, killed),
                seconds=START_SECONDS,
                what="another PostgreSQL",
            )
            return 1

    async def _end_sessions(self, _: Planned) -> int:
        return await self._in_database(_end_sessions)

    async def _lock_tables(self, planned: Planned) -> int:
        async def hold(sql: asyncpg.Connection) -> int:
            async with sql.transaction():
                await sql.execute(_LOCK)
                blocked = []
                async for _ in _moments(planned):
                    blocked.append(await sql.fetchval(_BLOCKED))
                return max(blocked)

        while True:
            try:
                return await self._in_database(hold)
            except asyncpg.DeadlockDetectedError:
                continue  # Which of the two gives way is PostgreSQL's choice.

    async def _hold_transaction(self, planned: Planned) -> int:
        async def hold(sql: asyncpg.Connection) -> int:
            async with sql.transaction(isolation="repeatable_read"):
                await sql.fetch("SELECT count(*) FROM job")
                await _for(planned)
                return 1

        return await self._in_database(hold)

    async def _in_database(self, act: Callable[[asyncpg.Connection], Awaitable[int]]) -> int:
        """Acts on a connection of its own. No other fault has the database meanwhile."""
        async with self._installation.database_lock:
            sql = await look_at(self._installation.dsn)
            try:
                return await act(sql)
            finally:
                await sql.close()

    async def _cut_workers(self, _: Planned) -> int:
        async with self._busiest(self._installation.worker_proxies) as between:
            return between.cut()

    async def _silence_workers(self, _: Planned) -> int:
        async with self._busiest(self._installation.worker_proxies) as between:
            return between.kill_silently()

    async def _eat_answers(self, planned: Planned) -> int:
        async with self._busiest(self._installation.caller_proxies) as between:
            eaten = between.swallowed_bytes
            between.muted = True
            await _for(planned)
            between.cut()  # no network passes on what comes after a hole in a stream of bytes
            between.muted = False
            return between.swallowed_bytes - eaten

    @asynccontextmanager
    async def _busiest(self, proxies: list[Proxy]) -> AsyncIterator[Proxy]:
        """The proxy with most connections, once there is one. No fault has its server meanwhile."""
        await eventually(
            lambda: any(between.connections for between in proxies),
            seconds=START_SECONDS,
            what="a connection",
        )
        between = max(proxies, key=lambda between: between.connections)
        async with self._installation.server_locks[proxies.index(between)]:
            yield between


async def _for(planned: Planned) -> None:
    await asyncio.sleep(planned.seconds)  # As long as the fault lasts.


async def _moments(planned: Planned) -> AsyncIterator[None]:
    """Moments to look, while the fault lasts."""
    end = time.monotonic() + planned.seconds
    while True:
        await asyncio.sleep(min(0.2, planned.seconds))  # Between two looks.
        yield
        if time.monotonic() >= end:
            return


async def _end_sessions(sql: asyncpg.Connection) -> int:
    return len(await sql.fetch(_END_SESSIONS))
