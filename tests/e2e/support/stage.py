"""The processes of one test, and its end: all of them gone, every invariant held."""

import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from jobsvc.client import Job
from jobsvc.embedded.sockets import dsn as socket_dsn
from tests.e2e.support.caller import Caller
from tests.e2e.support.checker import violations
from tests.e2e.support.history import History
from tests.e2e.support.processes import PROCESSORS, Process, Server, Worker
from tests.e2e.support.tables import read_tables

#: Short leases, so that their loss can be waited for; the rules between settings still hold.
LEASE_SECONDS = 3
SETTINGS = {
    "JOBSVC_LEASE_SECONDS": str(LEASE_SECONDS),
    "JOBSVC_EXTEND_INTERVAL_SECONDS": "1",
}


class Stage:
    """Starts servers, workers and callers in a folder of its own."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        #: A fresh database on a PostgreSQL that outlives the servers.
        self.dsn = dsn
        #: Where a server keeps its embedded PostgreSQL, if it is told to.
        self.data_dir = folder / "data"
        self.history = History(folder / "history.jsonl")
        self._servers: list[Server] = []
        self._workers: list[Worker] = []
        self._programs: list[Process] = []

    @property
    def embedded_dsn(self) -> str:
        """The database of the embedded PostgreSQL."""
        return socket_dsn(self.data_dir / "run")

    async def serve(
        self,
        *,
        embedded: bool = False,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> Server:
        """Starts a server, on the shared database unless `embedded`, and waits until it is ready.

        `settings` are named as in `Settings`.
        """
        server = self.start_server(
            embedded=embedded, port=port, environment=environment, **settings
        )
        await server.ready()
        return server

    def start_server(
        self,
        *,
        embedded: bool = False,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> Server:
        """Starts a server; `environment` has variables beside its settings."""
        database = {"JOBSVC_DATA_DIR": str(self.data_dir)} if embedded else {"JOBSVC_DSN": self.dsn}
        named = {f"JOBSVC_{name.upper()}": str(value) for name, value in settings.items()}
        server = Server(
            [sys.executable, "-m", "jobsvc", "serve"],
            self.folder / f"server-{len(self._servers)}",
            {
                **SETTINGS,
                **database,
                "JOBSVC_LISTEN": f"127.0.0.1:{port}",
                **named,
                **(environment or {}),
            },
        )
        self._servers.append(server)
        return server

    async def work(
        self, target: str, *options: str, processors: Path = PROCESSORS, **environment: str
    ) -> Worker:
        """Starts a worker with all processors, and waits until it is subscribed."""
        worker = self.start_worker(target, *options, processors=processors, **environment)
        await worker.ready()
        return worker

    def start_worker(
        self, target: str, *options: str, processors: Path = PROCESSORS, **environment: str
    ) -> Worker:
        """Starts a worker."""
        worker = Worker(
            [sys.executable, "-m", "jobsvc.worker", str(processors), *options],
            self.folder / f"worker-{len(self._workers)}",
            {"JOBSVC_TARGET": target, "E2E_HISTORY": str(self.history.path), **environment},
        )
        self._workers.append(worker)
        return worker

    def start_program(self, target: str, *command: str, **environment: str) -> Process:
        """Starts a program in another language, which is told where the server listens."""
        folder = self.folder / f"program-{len(self._programs)}"
        program = Process(command, folder, {"JOBSVC_TARGET": target, **environment})
        self._programs.append(program)
        return program

    @asynccontextmanager
    async def calls(self, target: str) -> AsyncIterator[Caller]:
        """A caller, connected."""
        async with Caller(target, self.history) as caller:
            yield caller

    async def check(self, caller: Caller, job_ids: Iterable[str], dsn: str = "") -> dict[str, Job]:
        """Reads all jobs once more, and checks every invariant; all must have ended."""
        jobs = await caller.read(job_ids)
        assert violations(self.history.events(), await read_tables(dsn or self.dsn)) == []
        return jobs

    def close(self) -> None:
        """Ends everything that still runs, and looks for what no server should ever log."""
        for process in (*self._programs, *self._workers, *self._servers):
            process.thaw()
            process.kill()
        self.history.close()
        for server in self._servers:
            before, traceback, after = server.stderr.partition("Traceback")
            assert not traceback, f"{before[-500:]}{traceback}{after[:4000]}"


@asynccontextmanager
async def a_stage(dsn: str) -> AsyncIterator[Stage]:
    """A stage, closed and cleared away at the end."""
    # Short: the path of a unix socket has to fit below it.
    folder = Path(tempfile.mkdtemp(prefix="jobsvc-e2e-"))
    stage = Stage(folder, dsn)
    try:
        try:
            yield stage
        finally:
            stage.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
