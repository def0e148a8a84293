"""Jobs: created in shared commits, read by id."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
from msgspec.structs import astuple

from jobsvc.domain.job import AttemptRecord, Job, NewJob
from jobsvc.domain.lease import NewLease
from jobsvc.domain.run_policy import OPTIONAL, RunPolicy
from jobsvc.store.batch import Batcher
from jobsvc.store.columns import documents, lease_columns, short, sparse, spread, words
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import decode_error, encode_labels, job_from

#: Jobs written in one statement.
_MAX_CREATES = 1000
#: Jobs with longer inputs share commits with each other only, and few: to write one takes
#: milliseconds, for which small ones would have to wait.
_LARGE_CHARACTERS = 16 * 1024
_MAX_LARGE_CREATES = 16
#: Whether each column of a run policy may be NULL.
_OPTIONAL = [name in OPTIONAL for name in RunPolicy.__struct_fields__]


class KeyTaken(Exception):
    """A job that has not ended holds one of the unique keys, or another call is taking it."""


class BornLeased(NamedTuple):
    """When a job was created with a lease, and since when it has that."""

    create_time: datetime
    start_time: datetime


#: The creation time of a job that waits; None for one that was not written.
Written = datetime | BornLeased | None


class _QueueGone(Exception):
    """Rolls a transaction back."""


class KeyHolder(NamedTuple):
    """A job that holds a unique key. `overdue`: it waits, and has expired or not started in time,
    so that it will be failed."""

    job_id: str
    overdue: bool


class JobStore:
    """Statements on jobs. `run` the batchers while it is in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._write: Callable[[Sequence[NewJob]], Awaitable[Sequence[Written]]] = self.write_waiting
        self.creates: Batcher[NewJob, Written] = Batcher(
            lambda jobs: self._write(jobs),
            _MAX_CREATES,
            expected_errors=(asyncpg.UniqueViolationError,),
        )
        self.large_creates: Batcher[NewJob, Written] = Batcher(
            self.write_waiting, _MAX_LARGE_CREATES, expected_errors=(asyncpg.UniqueViolationError,)
        )

    def write_by(self, write: Callable[[Sequence[NewJob]], Awaitable[Sequence[Written]]]) -> None:
        """Lets `write` write small jobs from now on, by `write_waiting` or `write_leased`."""
        self._write = write

    async def create(self, job: NewJob) -> Written:
        """Writes a job and its queue entry, or its lease. Returns its creation time; None if it was
        not written: its request id is taken, it could not begin before it expires, or its queue is
        gone.

        Raises:
            KeyTaken: its unique key is held. The rest of its batch is written without it.
        """
        try:
            return await (self.large_creates if _is_large(job) else self.creates).submit_one(job)
        except asyncpg.UniqueViolationError as error:
            raise KeyTaken from error

    async def create_each(self, jobs: Sequence[NewJob]) -> Sequence[Written | Exception]:
        """Writes each job for itself, in commits shared with those of `create`. Returns for each
        what `create` returns or raises; none may have a unique key."""
        small = [job for job in jobs if not _is_large(job)]
        if len(small) == len(jobs):
            return await self.creates.submit(jobs)
        large = [job for job in jobs if _is_large(job)]
        async with asyncio.TaskGroup() as tasks:
            groups = [small, *([job] for job in large)]
            written = [
                tasks.create_task((self.large_creates if index else self.creates).submit(group))
                for index, group in enumerate(groups)
            ]
        results = {
            job.id: result
            for group, task in zip(groups, written, strict=True)
            for job, result in zip(group, task.result(), strict=True)
        }
        return [results[job.id] for job in jobs]

    async def create_unnamed(self, jobs: Sequence[NewJob]) -> datetime | None:
        """Writes jobs that have no unique key and no request id and never expire, all or none;
        returns when. None if a queue of them is gone."""
        columns = _create_columns(jobs)
        queues = columns[1]
        assert isinstance(queues, Sequence)
        if len(queues) == 1:
            rows = await self._database.fetch("create_jobs", *columns)
            return _time_of_all(rows)
        try:
            async with self._database.transaction() as connection:
                rows = await connection.fetch(self._database.sql["create_jobs"], *columns)
                create_time = _time_of_all(rows)
                if create_time is None:
                    raise _QueueGone
                return create_time
        except _QueueGone:
            return None

    async def create_all(
        self, connection: Connection, jobs: Sequence[NewJob]
    ) -> tuple[datetime, Sequence[datetime | None]]:
        """Writes jobs inside the caller's transaction. Returns the time, and the creation time of
        each job; None for each that was not written, as in `create`.

        Raises:
            KeyTaken: a unique key is held, or another transaction won a conflict; this one is lost.
        """
        try:
            rows = await connection.fetch(self._database.sql["create_jobs"], *_create_columns(jobs))
        except (asyncpg.UniqueViolationError, asyncpg.TransactionRollbackError) as error:
            raise KeyTaken from error
        return rows[0]["create_time"], _create_times(jobs, rows)

    async def write_waiting(self, jobs: Sequence[NewJob]) -> Sequence[datetime | None]:
        """Writes jobs and their queue entries in one statement, as `create` does with each."""
        rows = await self._database.fetch("create_jobs", *_create_columns(jobs))
        return _create_times(jobs, rows)

    async def write_leased(
        self, jobs: Sequence[NewJob], leases: Sequence[NewLease]
    ) -> Sequence[Written]:
        """Does the same, but leases those jobs at once that one of `leases` is for, unless their
        queue is paused or has another job that is ready. They have no unique key and no schedule.
        """
        ids, numbers = lease_columns([lease.id for lease in leases])
        queues = {job.id: job.options.queue for job in jobs}
        rows = await self._database.fetch(
            "create_leased_jobs",
            *_create_columns(jobs),
            ids,
            numbers,
            [lease.slot.worker_id for lease in leases],
            short([lease.slot.duration_seconds for lease in leases]),
            list({queues[job_id] for job_id in ids}),
        )
        create_time, created, slots, start_times = rows[0]
        leased = {
            ids[slot - 1]: BornLeased(create_time, start_time)
            for slot, start_time in zip(slots, start_times or (), strict=True)
        }
        written = _create_times(jobs, [(create_time, created)])
        return [leased.get(job.id, time) for job, time in zip(jobs, written, strict=True)]

    async def find_requests(
        self, requests: Sequence[tuple[str, str]], connection: Connection
    ) -> Mapping[tuple[str, str], str]:
        """Returns the ids of jobs by pairs of service and request id, without unknown pairs."""
        rows = await connection.fetch(
            self._database.sql["find_requests"], [r[0] for r in requests], [r[1] for r in requests]
        )
        return {(row["owner_service"], str(row["request_id"])): str(row["id"]) for row in rows}

    async def find_key_holders(
        self, keys: Collection[tuple[str, str]], connection: Connection
    ) -> Mapping[tuple[str, str], KeyHolder]:
        """Returns the jobs that hold pairs of queue and unique key, without free pairs."""
        rows = await connection.fetch(
            self._database.sql["find_key_holders"],
            [queue for queue, _ in keys],
            [key for _, key in keys],
        )
        return {
            (row["queue"], row["unique_key"]): KeyHolder(str(row["job_id"]), row["overdue"])
            for row in rows
        }

    async def read(
        self,
        job_ids: Sequence[str],
        with_input: bool = True,
        with_output: bool = True,
        connection: Connection | None = None,
        emptied_too: bool = False,
    ) -> Mapping[str, Job]:
        """Returns jobs as they are now, by id, without those that do not exist.

        With `connection`, reads inside its transaction. An emptied job does not exist, unless
        `emptied_too`; its `purge_time` is when its retention ended.
        """
        columns = list(job_ids), with_input, with_output, emptied_too
        if connection is None:
            rows = await self._database.fetch("read_jobs", *columns)
        else:
            rows = await connection.fetch(self._database.sql["read_jobs"], *columns)
        return {job.id: job for job in map(job_from, rows)}

    async def find_changed(self, seen: Mapping[str, int]) -> dict[str, int | None]:
        """Returns the jobs whose status has another version than the one in `seen`, with that
        version; None for jobs that have ended or no longer exist."""
        rows = await self._database.fetch("find_changed", list(seen), list(seen.values()))
        return {str(row["id"]): row["version"] for row in rows}

    async def read_attempts(self, job_id: str, last: int) -> list[AttemptRecord]:
        """Returns the attempts up to number `last` after which the job waited again, newest first,
        at most ten."""
        rows = await self._database.fetch("read_attempts", job_id, last)
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


def _is_large(job: NewJob) -> bool:
    return job.input is not None and len(job.input) > _LARGE_CHARACTERS


def _time_of_all(rows: Sequence[asyncpg.Record]) -> datetime | None:
    """Reads from the row of create_jobs.sql when all jobs were created; None if not all were."""
    create_time: datetime = rows[0]["create_time"]
    return create_time if rows[0]["created"] is None else None


def _create_times(
    jobs: Sequence[NewJob], rows: Sequence[asyncpg.Record | tuple[datetime, Sequence[str] | None]]
) -> list[datetime | None]:
    """Reads from the one row of create_jobs.sql when each job was created."""
    create_time, created = rows[0]
    if created is None:
        return [create_time] * len(jobs)
    ids = set(created)
    return [create_time if job.id in ids else None for job in jobs]


def _create_columns(jobs: Sequence[NewJob]) -> tuple[object, ...]:
    """Converts jobs into the parameters of create_jobs.sql."""
    options = [job.options for job in jobs]
    # Usually all jobs share one.
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
        spread([o.schedule_delay_seconds for o in few], len(jobs)),
        *[
            spread(column, len(jobs)) if optional else short(column)
            for optional, column in zip(_OPTIONAL, policies, strict=True)
        ],
        list({job.owner.service for job in jobs if job.owner.most_waiting is not None}),
    )
