"""A way to look at our tables by their bare names, and to age their rows."""

import asyncpg

from jobsvc.settings import SCHEMA


async def look_at(dsn: str) -> asyncpg.Connection:
    """A plain connection whose search_path is the schema of a default installation."""
    return await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
