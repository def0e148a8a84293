"""What callers do with jobs: cancelled, queued again, changed, deleted, each by one statement."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from jobsvc.domain.job import JobState
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
    """Statements on jobs that name the versions in which they were read: a job that has another one
    by now is left alone, and missing in what they return (None or False, of a single job)."""

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
            "cancel_jobs",
            [job_id],
            [version],
            reason,
            failed_retention_seconds,
            grace_seconds,
            None,
        )
        if not rows:
            return False
        number = rows[0]["lease_id"]
        return True if number is None else LeaseId.of(job_id, number)

    async def cancel_all(
        self,
        job_ids: Sequence[str],
        states: Sequence[JobState],
        reason: str,
        failed_retention_seconds: float,
        grace_seconds: float,
        connection: Connection,
    ) -> Mapping[str, LeaseId | None]:
        """As `cancel`, whatever versions the jobs have, for those in one of the states, inside the
        caller's transaction. Returns the jobs, each with its lease if it has one."""
        rows = await connection.fetch(
            self._database.sql["cancel_jobs"],
            sorted(job_ids),
            (),
            reason,
            failed_retention_seconds,
            grace_seconds,
            list(states),
        )
        return {
            str(row["job_id"]): None
            if row["lease_id"] is None
            else LeaseId.of(row["job_id"], row["lease_id"])
            for row in rows
        }

    async def retry(
        self,
        versions: Mapping[str, int],
        extra_attempts: int,
        connection: Connection,
        counted_service: str | None = None,
    ) -> Mapping[str, Queued]:
        """Queues jobs that have ended again, inside the caller's transaction. Those of
        `counted_service` count among its waiting jobs.

        Raises:
            KeyTaken: another job holds the unique key of one; the transaction is lost.
        """
        job_ids = sorted(versions)
        try:
            rows = await connection.fetch(
                self._database.sql["retry_jobs"],
                job_ids,
                [versions[job_id] for job_id in job_ids],
                extra_attempts,
                encode_error(ATTEMPT_CANCELLED),
                counted_service,
            )
        except (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError) as error:
            raise KeyTaken from error
        return _queued(rows)

    async def update(
        self,
        versions: Mapping[str, int],
        change: JobChange,
        connection: Connection | None = None,
    ) -> Mapping[str, Queued]:
        """Changes jobs that wait, inside the caller's transaction if there is one."""
        job_ids = sorted(versions)
        arguments = (
            job_ids,
            [versions[job_id] for job_id in job_ids],
            list(change.fields),
            change.priority,
            change.schedule_time,
            change.expire_time,
            encode_labels(change.labels),
            change.input,
        )
        if connection is None:
            return _queued(await self._database.fetch("update_jobs", *arguments))
        return _queued(await connection.fetch(self._database.sql["update_jobs"], *arguments))

    async def delete(
        self,
        versions: Mapping[str, int],
        request_id_seconds: float,
        connection: Connection | None = None,
    ) -> set[str]:
        """Removes jobs that have ended, inside the caller's transaction if there is one. Until
        `request_id_seconds` after its end, one with a request id is only emptied."""
        job_ids = sorted(versions)
        arguments = job_ids, [versions[job_id] for job_id in job_ids], request_id_seconds
        if connection is None:
            rows = await self._database.fetch("delete_jobs", *arguments)
        else:
            rows = await connection.fetch(self._database.sql["delete_jobs"], *arguments)
        return {str(row["job_id"]) for row in rows}


def _queued(rows: Sequence[asyncpg.Record]) -> Mapping[str, Queued]:
    return {str(row["job_id"]): Queued(row["queue"], row["delay"]) for row in rows}
