"""A real PostgreSQL for the whole session, a fresh database for each test, a replica in-process."""

import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import hypothesis
import pytest

# Before gRPC is loaded: its handlers at a fork crash now and then a program that is started as
# another account, which Python does by a plain fork.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.embedded import embedded_postgres
from jobsvc.settings import Settings
from jobsvc.store.migrate import migrate
from jobsvc.store.store import Store, open_store
from tests.support import planted
from tests.support.looking import look_at
from tests.support.settings import TEST_SETTINGS

#: As in every project where jobsvc is installed.
pytest_plugins = ["jobsvc.testing.plugin"]

# Examples have no deadline: a machine that is busy elsewhere is no defect.
hypothesis.settings.register_profile(
    "jobsvc", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("jobsvc")

_numbers = itertools.count()

#: Not durable: faster.
_TEST_POSTGRES = {"fsync": "off", "max_prepared_transactions": "4"}

_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 4 << 30


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test in whose log, or output, something planted is found has failed."""
    report = yield
    written = {name: text for name, text in report.sections if name.startswith("Captured")}
    if report.passed and (found := planted.found_in(written)):
        report.outcome = "failed"
        report.longrepr = "\n".join(["secrets were told:", *found])
    return report


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[str]:
    """The DSN of a PostgreSQL with a migrated database `template_jobsvc`. Not durable: faster.

    JOBSVC_TEST_DSN names another one to use, of another version say; one process at a time.
    """
    other = os.environ.get("JOBSVC_TEST_DSN")
    if other:
        await _execute(other, "DROP DATABASE IF EXISTS template_jobsvc")
        await _execute(other, "CREATE DATABASE template_jobsvc")
        await migrate(_named(other, "template_jobsvc"))
        yield other
        return
    with tempfile.TemporaryDirectory(prefix="jobsvc-test-", dir=_in_memory()) as folder:
        async with embedded_postgres(Path(folder), _TEST_POSTGRES) as server:
            await _execute(server.dsn, "CREATE DATABASE template_jobsvc")
            await migrate(_named(server.dsn, "template_jobsvc"))
            yield server.dsn


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database of its own."""
    name = f"test_{next(_numbers)}"
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE template_jobsvc")
    yield _named(postgres, name)
    if planted.is_anything_planted():
        assert planted.found_in({"the tables": await planted.dump(_named(postgres, name))}) == []
    await _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def declared() -> tuple[str, ...]:
    """The queues that `store` begins with; a module may override the fixture."""
    return ("q",)


@pytest.fixture
async def store(dsn: str, declared: tuple[str, ...]) -> AsyncIterator[Store]:
    """A store on the fresh database."""
    async with open_store(
        dsn, "test-server", pool_size=4, statement_seconds=10, max_queues=1000
    ) as opened:
        await opened.queues.declare(declared)
        yield opened


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to the fresh database, to look at rows and to age them."""
    connection = await look_at(dsn)
    yield connection
    await connection.close()


@pytest.fixture
def settings() -> Settings:
    """Settings of the in-process replica; a module or test may override the fixture."""
    return TEST_SETTINGS


@pytest.fixture
async def server(dsn: str, settings: Settings) -> AsyncIterator[Replica]:
    """A replica in this process, on a free port."""
    async with replica(dsn, settings) as running:
        yield running


@pytest.fixture
async def channel(server: Replica) -> AsyncIterator[aio.Channel]:
    """A channel to the replica."""
    async with aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


@pytest.fixture
def start_replica(
    dsn: str, settings: Settings
) -> Callable[[], AbstractAsyncContextManager[Replica]]:
    """Starts further replicas on the same database."""

    @asynccontextmanager
    async def start() -> AsyncIterator[Replica]:
        async with replica(dsn, settings) as running:
            yield running

    return start


def _in_memory() -> Path | None:
    """A folder whose files are in memory, where there is a large one: a database for each test is
    many writes. None means the usual temporary folder."""
    large = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES
    return _MEMORY if large else None


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _named(dsn: str, database: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()
