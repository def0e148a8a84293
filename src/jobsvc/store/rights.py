"""What a role needs to serve: given by an owner, and looked at by the role itself."""

import asyncpg

from jobsvc.store.ddl import DatabaseUnsuitable, ddl_transaction
from jobsvc.store.installation import read_installation
from jobsvc.store.migrate import complaint_about
from jobsvc.store.migration import read_migrations
from jobsvc.store.statement import texts


async def grant(dsn: str, schema: str, role: str) -> list[str]:
    """Gives a role what serving needs and it does not have, and returns the names of these rights.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`; the last one also
            when we may not give a right.
    """
    async with ddl_transaction(dsn, schema) as connection:
        rights = await _missing_rights(connection, schema, role)
        for row in rights:
            await connection.execute(row["statement"])
        # Whoever may not give a right is only warned by PostgreSQL.
        if still := await _missing_rights(connection, schema, role):
            raise DatabaseUnsuitable(f"this role may not give {role} the right {still[0]['name']}")
        return [row["name"] for row in rights]


async def missing_for_serving(dsn: str, schema: str) -> list[str]:
    """Returns what the database lacks for this release to serve on it as the role of `dsn`, and
    what to do: one sentence for each migration and each right. Changes nothing.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`.
    """
    known = read_migrations()
    async with ddl_transaction(dsn, schema) as connection:
        installation = await read_installation(connection, schema)
        complaint = await complaint_about(connection, schema, installation, known)
        if complaint is not None:
            return [complaint]
        migrations = [
            f"the migration {m.name} is missing: `jobsvc migrate`, as the owner"
            for m in installation.missing(known)
        ]
        role = await connection.fetchval("SELECT current_user")
        rights = await _missing_rights(connection, schema, role)
        return migrations + [
            f"the role {role} lacks the right {row['name']}: `jobsvc migrate --grant {role}`,"
            " as the owner"
            for row in rights
        ]


async def _missing_rights(
    connection: asyncpg.Connection, schema: str, role: str
) -> list[asyncpg.Record]:
    rows = await connection.fetch(texts(schema)["serving_rights"], schema, role)
    return [row for row in rows if not row["granted"]]
