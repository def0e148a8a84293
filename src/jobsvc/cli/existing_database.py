"""The database that a command looks at without serving it; it is never made for that."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobsvc.embedded import EmbeddedUnsuitable, embedded_postgres, running_dsn
from jobsvc.settings import Settings


@asynccontextmanager
async def existing_database(settings: Settings) -> AsyncIterator[str]:
    """Yields the DSN of JOBSVC_DSN; without it, of the embedded PostgreSQL, started meanwhile.

    Raises:
        EmbeddedUnsuitable: JOBSVC_DATA_DIR has no database: no server has been started there.
        EmbeddedUnavailable: a server runs on JOBSVC_DATA_DIR, or PostgreSQL does not start.
    """
    if settings.dsn is not None:
        yield settings.dsn
        return
    folder = settings.data_dir.absolute()
    if not (folder / "pgdata").is_dir():
        raise EmbeddedUnsuitable(
            f"JOBSVC_DSN names no database, and there is none in JOBSVC_DATA_DIR ({folder})"
        )
    async with embedded_postgres(folder) as server:
        yield server.dsn


@asynccontextmanager
async def shared_database(settings: Settings) -> AsyncIterator[str]:
    """Does the same for a command that a running server need not fear: where one runs on
    JOBSVC_DATA_DIR, yields the DSN of the PostgreSQL that it has started.

    Raises:
        EmbeddedUnsuitable, EmbeddedUnavailable: as `existing_database`.
    """
    if settings.dsn is None and (running := running_dsn(settings.data_dir)) is not None:
        yield running
        return
    async with existing_database(settings) as dsn:
        yield dsn
