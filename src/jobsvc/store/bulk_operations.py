"""Bulk operations: kept from the first call to the end of their retention."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg
import msgspec

from jobsvc.domain.bulk_operation import (
    BulkAction,
    BulkOperation,
    BulkRequest,
    BulkState,
    Progress,
    Skip,
)
from jobsvc.domain.errors import NotStorable, Violation
from jobsvc.domain.job import JobState
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.store.database import Connection, Database, answer_of
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.sqlstate import Answer

_encode = msgspec.json.encode
_decode_filter = msgspec.json.Decoder(JobFilter).decode
_decode_action = msgspec.json.Decoder(BulkAction).decode
_decode_skipped = msgspec.json.Decoder(dict[str, int]).decode
_decode_skip = msgspec.json.Decoder(Skip).decode


class Known(NamedTuple):
    """An operation of a request id, and the digest of its request."""

    operation: BulkOperation
    digest: bytes


class Claimed(NamedTuple):
    """What a claim finds: the operation that is due, if any, the database's time, how many
    operations run, and the seconds until the first of them is due (None if there is none).
    `created` and `leased` are how many jobs were, since the database was started."""

    operation: BulkOperation | None
    now: datetime
    running: int
    due_seconds: float | None
    created: int
    leased: int


class Candidate(NamedTuple):
    """What an operation must know of a job."""

    job_id: str
    queue: str
    unique_key: str | None
    expire_time: datetime | None
    state: JobState
    version: int
    cancel_requested: bool
    run_time: datetime | None
    read_time: datetime


class BulkOperationStore:
    """Statements on bulk operations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        operation_id: str,
        owner: Owner,
        request: BulkRequest,
        request_id: str | None,
        digest: bytes,
        most_of_owner: int,
        most_of_all: int,
    ) -> BulkOperation | None:
        """Starts an operation. None if too many run, or the request id is taken."""
        rows = await self._database.fetch(
            "create_bulk_operation",
            operation_id,
            owner.service,
            owner.user_id,
            owner.session_hash,
            list(owner.former_session_hashes) or None,
            request_id,
            None if request_id is None else digest,
            _encode(request.wanted).decode(),
            _encode(request.action).decode(),
            request.rate,
            request.most,
            most_of_owner,
            most_of_all,
        )
        return _operation_from(rows[0]) if rows else None

    async def find(self, service: str, request_id: str) -> Known | None:
        """Returns the operation that a request id of a service started."""
        rows = await self._database.fetch("find_bulk_operation", service, request_id)
        return Known(_operation_from(rows[0]), rows[0]["request_digest"]) if rows else None

    async def read(self, operation_id: str) -> BulkOperation | None:
        """Returns an operation as it is now."""
        rows = await self._database.fetch("read_bulk_operation", operation_id)
        return _operation_from(rows[0]) if rows else None

    async def list(self, caller: Owner, before: str, limit: int) -> Sequence[BulkOperation]:
        """Returns operations that a caller may see, newest first, with ids before `before`."""
        rows = await self._database.fetch(
            "list_bulk_operations",
            None if caller.sees_all else caller.service,
            caller.user_id,
            list(caller.session_hashes),
            before,
            limit,
        )
        return [_operation_from(row) for row in rows]

    async def stop(self, operation_id: str, retention_seconds: float) -> BulkOperation | None:
        """Stops an operation behind the batch that is under way. None if it has ended."""
        rows = await self._database.fetch("stop_bulk_operation", operation_id, retention_seconds)
        return _operation_from(rows[0]) if rows else None

    async def claim(self, connection: Connection) -> Claimed:
        """Claims the operation that is due first, until the end of the caller's transaction."""
        sql = self._database.sql["claim_bulk_operation"]
        (row,) = await connection.fetch(sql, self._database.schema)
        return Claimed(
            None if row["id"] is None else _operation_from(row),
            row["now"],
            row["running"],
            row["due_seconds"],
            row["created"],
            row["leased"],
        )

    async def save(
        self,
        operation_id: str,
        progress: Progress,
        next_time: datetime,
        retention_seconds: float,
        connection: Connection,
    ) -> None:
        """Writes how far an operation has come, inside the transaction that has claimed it."""
        await connection.fetch(
            self._database.sql["save_bulk_operation"],
            operation_id,
            progress.position,
            progress.done,
            _encode(progress.skipped).decode(),
            None if progress.last_error is None else _encode(progress.last_error).decode(),
            next_time,
            progress.is_complete,
            retention_seconds,
        )

    @asynccontextmanager
    async def apart(self, connection: Connection) -> AsyncIterator[None]:
        """A part of the caller's transaction: what it raises here undoes this part alone. Other
        errors cost the whole.

        Raises:
            KeyTaken: the part has raised it.
            NotStorable: the database cannot store a value.
        """
        # By hand: the driver refuses a part of a transaction that it has not begun itself, and
        # behind a pooler it has not.
        await connection.execute("SAVEPOINT part")
        try:
            yield
        except KeyTaken:
            await connection.execute("ROLLBACK TO SAVEPOINT part")
            raise
        except asyncpg.PostgresError as error:
            if answer_of(error) is not Answer.VALUE:
                raise
            await connection.execute("ROLLBACK TO SAVEPOINT part")
            text = f"the database cannot store it ({error.sqlstate} {type(error).__name__})"
            raise NotStorable([Violation("request", text)]) from None
        await connection.execute("RELEASE SAVEPOINT part")

    async def read_candidates(
        self, job_ids: Sequence[str], connection: Connection
    ) -> Mapping[str, Candidate]:
        """Returns jobs as they are now, by id, without those that do not exist."""
        rows = await connection.fetch(self._database.sql["read_candidates"], job_ids)
        return {str(row["id"]): _candidate_from(row) for row in rows}

    async def prune(self, limit: int, connection: Connection | None = None) -> int:
        """Removes operations whose retention has passed, inside the caller's transaction if there
        is one, and returns their number."""
        if connection is None:
            (row,) = await self._database.fetch("prune_bulk_operations", limit)
        else:
            (row,) = await connection.fetch(self._database.sql["prune_bulk_operations"], limit)
        count: int = row["count"]
        return count


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _candidate_from(row: asyncpg.Record) -> Candidate:
    return Candidate(
        str(row["id"]),
        row["queue"],
        row["unique_key"],
        row["expire_time"],
        JobState(row["state"]),
        row["version"],
        row["cancel_requested"],
        row["run_at"],
        row["read_time"],
    )


def _operation_from(row: asyncpg.Record) -> BulkOperation:
    return BulkOperation(
        id=str(row["id"]),
        owner=Owner(
            row["owner_service"],
            row["owner_user"],
            row["owner_session"],
            former_session_hashes=tuple(row["former_sessions"] or ()),
        ),
        request=BulkRequest(
            _decode_filter(row["wanted"]),
            _decode_action(row["action"]),
            row["rate"],
            row["most"],
        ),
        state=BulkState(row["state"]),
        version=row["version"],
        position=_text(row["position"]),
        done=row["done"],
        skipped=_decode_skipped(row["skipped"]),
        last_error=None if row["last_error"] is None else _decode_skip(row["last_error"]),
        create_time=row["create_time"],
        update_time=row["update_time"],
        next_time=row["next_time"],
        end_time=row["end_time"],
        purge_time=row["purge_time"],
    )
