"""Statements on the audit."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from jobsvc.domain.audit_entry import AuditEntry
from jobsvc.store.database import Connection, Database
from jobsvc.store.ddl import DatabaseUnsuitable, ddl_transaction
from jobsvc.store.statement import texts


class AuditStore:
    """Statements on the entries of the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(
        self, ids: Sequence[str], ages: Sequence[float], entries: Sequence[AuditEntry]
    ) -> None:
        """Writes entries under their ids, with the seconds since their calls. Those that are there
        already stay as they are."""
        await self._database.fetch(
            "write_audit_entries",
            list(ids),
            list(ages),
            [entry.identity for entry in entries],
            [entry.user_id for entry in entries],
            [entry.peer for entry in entries],
            [entry.method for entry in entries],
            [entry.target for entry in entries],
            [entry.outcome for entry in entries],
            [entry.trace_id for entry in entries],
            [entry.calls for entry in entries],
        )

    async def prune(
        self, limit: int, retention_seconds: float, connection: Connection | None = None
    ) -> int:
        """Removes entries whose retention is over, inside the caller's transaction if there is
        one, and returns their number."""
        if connection is None:
            (row,) = await self._database.fetch("prune_audit_entries", limit, retention_seconds)
        else:
            statement = self._database.sql["prune_audit_entries"]
            (row,) = await connection.fetch(statement, limit, retention_seconds)
        count: int = row["count"]
        return count


async def read_audit(
    dsn: str,
    schema: str,
    *,
    since: datetime | None,
    until: datetime | None,
    methods: Sequence[str],
    identity: str | None,
    target: str | None,
    limit: int,
) -> list[AuditEntry]:
    """Returns entries from `since` until before `until`, newest first; None and nothing stand for
    any.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`, or because there
            is no audit in this schema.
    """
    async with ddl_transaction(dsn, schema) as connection:
        try:
            rows = await connection.fetch(
                texts(schema)["list_audit_entries"],
                since,
                until,
                list(methods) or None,
                identity,
                target,
                limit,
            )
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            raise DatabaseUnsuitable(
                f"the schema {schema} has no audit: `jobsvc migrate` makes it"
            ) from None
    return [
        AuditEntry(
            row["identity"],
            row["user_id"],
            row["peer"],
            row["method"],
            row["target"],
            row["outcome"],
            row["trace_id"],
            calls=row["calls"],
            time=row["time"],
        )
        for row in rows
    ]
