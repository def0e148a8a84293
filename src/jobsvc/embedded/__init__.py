"""The embedded PostgreSQL, which runs when no DSN is given. For Linux and macOS.

    async with embedded_postgres(data_dir) as server, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.watch())
        pool = await asyncpg.create_pool(server.dsn)

Only the standard library is imported here.
"""

from jobsvc.embedded.server import EmbeddedPostgres, embedded_postgres
from jobsvc.embedded.sockets import running_dsn
from jobsvc.embedded.unavailable import EmbeddedUnavailable, EmbeddedUnsuitable

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedUnavailable",
    "EmbeddedUnsuitable",
    "embedded_postgres",
    "running_dsn",
]
