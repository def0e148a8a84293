"""What the schema of this release is made of, and how a database differs from it."""

from importlib.resources import files

import asyncpg
import msgspec

from jobsvc.domain.finding import Finding
from jobsvc.domain.schema_drift import SchemaObject, drift
from jobsvc.store.ddl import ddl_transaction
from jobsvc.store.installation import read_installation
from jobsvc.store.migration import read_migrations
from jobsvc.store.statement import texts

#: Made by tools/describe_schema.py, from what the migrations leave behind.
FILE = files(__package__) / "schema_description.json"
_decode = msgspec.json.Decoder(list[SchemaObject]).decode


def described() -> list[SchemaObject]:
    """Returns what the migrations of this release leave behind."""
    return _decode(FILE.read_bytes())


async def find_drift(dsn: str, schema: str) -> list[Finding]:
    """Returns how a schema differs from what was made there; nothing if a newer release has
    migrated it, of which we know nothing.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`.
    """
    async with ddl_transaction(dsn, schema) as connection:
        installation = await read_installation(connection, schema)
        if installation.newer(read_migrations()):
            return []
        found = await read_objects(connection, schema)
        name = await connection.fetchval("SELECT quote_ident($1)", schema)
    return list(drift(described(), found, name))


async def read_objects(connection: asyncpg.Connection, schema: str) -> list[SchemaObject]:
    """Returns what a schema is made of, in a fixed order."""
    rows = await connection.fetch(texts(schema)["describe_objects"], schema)
    return sorted(SchemaObject(*row.values()) for row in rows)
