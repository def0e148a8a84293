"""Two replicas on one PostgreSQL and six workers, as real processes, with proxies in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobsvc.embedded import embedded_postgres
from jobsvc.store.migrate import migrate
from tests.e2e.support.processes import Server, Worker
from tests.e2e.support.proxy import Proxy, proxy
from tests.e2e.support.stage import Stage, a_stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

SERVERS = 2
WORKERS = 6
POOL_SIZE = 4
#: The pool of each server, its two connections for hints, and those of one that was just killed.
MOST_SESSIONS = SERVERS * (POOL_SIZE + 2)
#: Shorter than a process takes to start on a machine that is busy.
START_SECONDS = 60.0
DRAIN_SECONDS = 4
#: What `processors.dies` ends its process with.
POISONED = 7
#: A long run leaves no more of its log of changes than a short one.
_POSTGRES = {"max_wal_size": "256MB"}
SETTINGS = {
    "pool_size": POOL_SIZE,
    "drain_seconds": DRAIN_SECONDS,
    "heartbeat_interval_seconds": 2,
    "reconnect_seconds": 2,
    # So that the next attempt runs already when the worker of the last one wakes up.
    "rescue_interval_seconds": 0.2,
    "initial_backoff_seconds": 0.1,
}


@dataclass
class Installation:
    """All that can be broken. A lock for each process, so that one fault at a time has it."""

    stage: Stage
    dsn: str
    data_dir: Path
    servers: list[Server]
    #: In front of each server: one proxy for callers, one for workers.
    caller_proxies: list[Proxy]
    worker_proxies: list[Proxy]
    workers: list[Worker] = field(default_factory=list)
    server_locks: list[asyncio.Lock] = field(
        default_factory=lambda: [asyncio.Lock() for _ in range(SERVERS)]
    )
    worker_locks: list[asyncio.Lock] = field(
        default_factory=lambda: [asyncio.Lock() for _ in range(WORKERS)]
    )
    database_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: What went wrong without a fault that excuses it.
    surprises: list[str] = field(default_factory=list)

    def target(self, index: int) -> str:
        """Where caller number `index` connects: to one replica, and to the other in need."""
        return _targets(self.caller_proxies, index)

    async def start_server(self, index: int) -> None:
        """Starts a replica on its port, again and again while it has no database."""
        port = self.servers[index].port

        async def start() -> Server | None:
            try:
                return await self.stage.serve(dsn=self.dsn, port=port, **SETTINGS)
            except AssertionError:
                return None

        started = await eventually(start, seconds=START_SECONDS, what=f"server {index}")
        assert started is not None
        self.servers[index] = started

    async def start_worker(self, index: int) -> None:
        """Starts a worker in the place of another one; whether it finds a server or not."""
        target = _targets(self.worker_proxies, index)
        worker = self.stage.start_worker(target, "--concurrency", "16")
        self.workers[index : index + 1] = [worker]

    def postmaster(self) -> int:
        """The first process of PostgreSQL, 0 while it is not ready."""
        pid_file = self.data_dir / "pgdata" / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return int(lines[0]) if len(lines) >= 8 and lines[7].strip() == "ready" else 0

    async def replace_poisoned(self) -> None:
        """Starts a worker for each that a job took down. Runs until it is cancelled."""
        while True:
            for index, lock in enumerate(self.worker_locks):
                if not lock.locked() and self.workers[index].exit_code == POISONED:
                    await self.start_worker(index)
            await asyncio.sleep(0.1)  # The supervisor's own rhythm.

    def look_for_dead(self) -> None:
        """Notes processes that have ended by themselves. No fault may have them now."""
        for name, processes in (("server", self.servers), ("worker", self.workers)):
            for index, process in enumerate(processes):
                if process.exit_code not in (None, POISONED):
                    said = process.stderr[-1500:]
                    self.surprises.append(
                        f"{name} {index} ended by itself with {process.exit_code}: {said}"
                    )

    async def worker_ready(self, index: int) -> None:
        """Waits until a worker has subscribed."""
        worker = self.workers[index]
        await eventually(
            lambda: worker.exit_code is not None or " subscribed to " in worker.stdout,
            seconds=START_SECONDS,
            what=f"worker {index}",
        )


def _targets(proxies: list[Proxy], first: int) -> str:
    turned = [proxies[(first + n) % len(proxies)] for n in range(len(proxies))]
    return "ipv4:" + ",".join(between.target for between in turned)


@asynccontextmanager
async def an_installation(folder: Path, without: str = "") -> AsyncIterator[Installation]:
    """Starts everything, with `without` (SQL) run once the tables are there; ends it all."""
    data_dir = folder / "postgres"
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(embedded_postgres(data_dir, _POSTGRES))
        await migrate(postgres.dsn)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        watch = tasks.create_task(postgres.watch())
        stack.callback(watch.cancel)
        if without:
            await fetch(postgres.dsn, without)
        stage = await stack.enter_async_context(a_stage(postgres.dsn))
        servers = [await stage.serve(**SETTINGS) for _ in range(SERVERS)]
        proxies = [
            [await stack.enter_async_context(proxy(server.port)) for server in servers]
            for _ in range(2)
        ]
        installation = Installation(stage, postgres.dsn, data_dir, servers, *proxies)
        for index in range(WORKERS):
            await installation.start_worker(index)
        for index in range(WORKERS):
            await installation.worker_ready(index)
        yield installation
