"""Statements that create and read jobs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import asyncpg
from msgspec.structs import astuple

from jobsvc.domain.job import AttemptRecord, Job, NewJob
from jobsvc.domain.run_policy import OPTIONAL, RunPolicy
from jobsvc.store.batch import Batcher
from jobsvc.store.columns import documents, short, sparse, spread, words
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import decode_error, encode_labels, job_from
from jobsvc.store.statement import sql

#: Largest number of jobs in one statement.
_MAX_CREATES = 1000
#: Whether each column of a run policy may be NULL.
_OPTIONAL = [name in OPTIONAL for name in RunPolicy.__struct_fields__]


class KeyTaken(Exception):
    """A job that has not ended holds one of the unique keys, or another call is taking it."""


class JobStore:
    """Statements on jobs. `run` the batcher while it is in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.creates: Batcher[NewJob, datetime | None] = Batcher(self._create, _MAX_CREATES)

    async def create(self, job: NewJob) -> datetime | None:
        """Writes a job into its queue, and returns when; None if its request id is taken.

        Raises:
            KeyTaken: its unique key is held. That rolls back the batch that it shared.
        """
        try:
            return await self.creates.submit_one(job)
        except asyncpg.UniqueViolationError as error:
            raise KeyTaken from error

    async def create_unnamed(self, jobs: Sequence[NewJob]) -> datetime:
        """Writes jobs without unique keys and request ids, all or none, and returns when."""
        rows = await self._database.fetch("create_jobs", *_create_columns(jobs))
        create_time: datetime = rows[0]["create_time"]
        return create_time

    async def create_all(
        self, connection: Connection, jobs: Sequence[NewJob]
    ) -> Sequence[datetime | None]:
        """Writes jobs inside the caller's transaction, and returns when; None for each whose
        request id is taken.

        Raises:
            KeyTaken: a unique key is held, or another call got in the way; the transaction is lost.
        """
        try:
            rows = await connection.fetch(sql("create_jobs"), *_create_columns(jobs))
        except (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError) as error:
            raise KeyTaken from error
        return _create_times(jobs, rows)

    async def _create(self, jobs: Sequence[NewJob]) -> Sequence[datetime | None]:
        rows = await self._database.fetch("create_jobs", *_create_columns(jobs))
        return _create_times(jobs, rows)

    async def find_requests(
        self, requests: Sequence[tuple[str, str]], connection: Connection
    ) -> Mapping[tuple[str, str], str]:
        """The jobs created under these pairs of service and request id; new pairs are missing."""
        rows = await connection.fetch(
            sql("find_requests"), [r[0] for r in requests], [r[1] for r in requests]
        )
        return {(row["owner_service"], str(row["request_id"])): str(row["id"]) for row in rows}

    async def find_key_holders(
        self, keys: Collection[tuple[str, str]], connection: Connection
    ) -> Mapping[tuple[str, str], str]:
        """The jobs that hold these pairs of queue and unique key; free ones are missing."""
        rows = await connection.fetch(
            sql("find_key_holders"), [queue for queue, _ in keys], [key for _, key in keys]
        )
        return {(row["queue"], row["unique_key"]): str(row["job_id"]) for row in rows}

    async def read(
        self,
        job_ids: Sequence[str],
        with_input: bool = True,
        with_output: bool = True,
        connection: Connection | None = None,
    ) -> Mapping[str, Job]:
        """Jobs as they are now, by id; missing ones are missing. Inside a transaction, if given."""
        columns = list(job_ids), with_input, with_output
        if connection is None:
            rows = await self._database.fetch("read_jobs", *columns)
        else:
            rows = await connection.fetch(sql("read_jobs"), *columns)
        return {job.id: job for job in map(job_from, rows)}

    async def find_changed(self, seen: Mapping[str, int]) -> dict[str, int | None]:
        """The jobs whose version is later than the one seen, with that version; None for those that
        have been removed."""
        rows = await self._database.fetch("find_changed", list(seen), list(seen.values()))
        return {str(row["id"]): row["version"] for row in rows}

    async def read_attempts(self, job_id: str) -> list[AttemptRecord]:
        """The last ten attempts that were used before the current one, newest first."""
        rows = await self._database.fetch("read_attempts", job_id)
        return [
            AttemptRecord(
                row["attempt"],
                row["worker_id"],
                row["start_time"],
                row["end_time"],
                decode_error(row["error"]),
            )
            for row in rows
        ]


def _create_times(jobs: Sequence[NewJob], rows: Sequence[asyncpg.Record]) -> list[datetime | None]:
    """The creation time of each job, from the one row of create_jobs.sql."""
    create_time, created = rows[0]
    if created is None:
        return [create_time] * len(jobs)
    ids = set(created)
    return [create_time if job.id in ids else None for job in jobs]


def _create_columns(jobs: Sequence[NewJob]) -> tuple[object, ...]:
    """Jobs as the parameters of create_jobs.sql."""
    options = [job.options for job in jobs]
    # Mostly one object for all.
    few = short(options)
    policies = zip(*[astuple(o.run_policy) for o in few], strict=True)
    return (
        words([job.id for job in jobs]),
        short([o.queue for o in few]),
        spread([o.schedule_time for o in few], len(jobs)),
        spread([o.expire_time for o in few], len(jobs)),
        spread([o.ttl_seconds for o in few], len(jobs)),
        short([o.priority for o in few]),
        spread([o.output_schema_id for o in few], len(jobs)),
        short([job.owner.service for job in jobs]),
        short([job.owner.user_id for job in jobs]),
        sparse([job.owner.session_hash for job in jobs]),
        sparse([job.request_id for job in jobs]),
        sparse([job.request_digest for job in jobs]),
        sparse([job.unique_key for job in jobs]),
        documents([encode_labels(o.labels) for o in options]),
        short([job.traceparent for job in jobs]),
        short([job.tracestate for job in jobs]),
        documents([job.input for job in jobs]),
        *[
            spread(column, len(jobs)) if optional else short(column)
            for optional, column in zip(_OPTIONAL, policies, strict=True)
        ],
    )
