"""What callers do with jobs: cancelled, queued again, changed, deleted, each by one statement."""

from typing import NamedTuple

import asyncpg

from jobsvc.domain.job_control import ATTEMPT_CANCELLED, JobChange
from jobsvc.domain.lease import LeaseId
from jobsvc.store.database import Connection, Database
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.records import encode_error, encode_labels


class Queued(NamedTuple):
    """A job that waits in its queue, ready after `delay_seconds`."""

    queue: str
    delay_seconds: float


class JobControlStore:
    """Statements on one job that name the version in which it was read: None, or False, says that
    nothing was done, because it has another one by now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cancel(
        self,
        job_id: str,
        version: int | None,
        reason: str,
        failed_retention_seconds: float,
        grace_seconds: float,
    ) -> LeaseId | bool:
        """Ends a waiting job (True), or requests the cancellation of a leased one, whose attempt
        has `grace_seconds` from then on (its lease). `version` None means any."""
        rows = await self._database.fetch(
            "cancel_jobs", [job_id], [version], reason, failed_retention_seconds, grace_seconds
        )
        if not rows:
            return False
        number = rows[0]["lease_id"]
        return True if number is None else LeaseId.of(job_id, number)

    async def retry(
        self, job_id: str, version: int, extra_attempts: int, connection: Connection
    ) -> Queued | None:
        """Queues a job that has ended again, inside the caller's transaction.

        Raises:
            KeyTaken: another job holds its unique key; the transaction is lost.
        """
        try:
            rows = await connection.fetch(
                self._database.sql["retry_jobs"],
                [job_id],
                [version],
                extra_attempts,
                encode_error(ATTEMPT_CANCELLED),
            )
        except (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError) as error:
            raise KeyTaken from error
        return Queued(rows[0]["queue"], rows[0]["delay"]) if rows else None

    async def update(self, job_id: str, version: int, change: JobChange) -> Queued | None:
        """Changes a job that waits."""
        rows = await self._database.fetch(
            "update_job",
            job_id,
            version,
            list(change.fields),
            change.priority,
            change.schedule_time,
            change.expire_time,
            encode_labels(change.labels),
            change.input,
        )
        return Queued(rows[0]["queue"], rows[0]["delay"]) if rows else None

    async def delete(self, job_id: str, version: int, request_id_seconds: float) -> bool:
        """Removes a job that has ended. Until `request_id_seconds` after its end, one with a
        request id is only emptied."""
        rows = await self._database.fetch("delete_jobs", [job_id], [version], request_id_seconds)
        return bool(rows)
