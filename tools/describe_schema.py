"""Writes src/jobsvc/store/schema_description.json anew, after a new migration: what a freshly
migrated schema is made of, for `jobsvc doctor` to compare with.

    python tools/describe_schema.py
"""

import asyncio
import tempfile
from pathlib import Path

import asyncpg
import msgspec

from jobsvc.embedded import embedded_postgres
from jobsvc.settings import SCHEMA
from jobsvc.store.migrate import migrate
from jobsvc.store.schema_description import read_objects

_FILE = Path(__file__).parents[1] / "src/jobsvc/store/schema_description.json"


async def describe() -> None:
    """Migrates a new database, and writes down what it has then."""
    with tempfile.TemporaryDirectory(prefix="jobsvc-describe-") as folder:
        async with embedded_postgres(Path(folder)) as server:
            await migrate(server.dsn)
            connection = await asyncpg.connect(server.dsn)
            try:
                objects = await read_objects(connection, SCHEMA)
            finally:
                await connection.close()
    lines = ",\n".join(msgspec.json.encode(one).decode() for one in objects)
    _FILE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(describe())
