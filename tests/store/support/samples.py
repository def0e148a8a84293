"""Jobs and leases to begin a test with, and the tables that have rows of a job."""

from collections.abc import Iterable
from typing import Any

import asyncpg
from google.rpc import code_pb2
from msgspec.structs import replace

from jobsvc.domain.job import JobError, JobOptions, JobState, NewJob
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.lease import LeasedJob, LeaseId, Slot
from jobsvc.domain.lease_end import End, Ended
from jobsvc.domain.outcome import Finish, Outcome, Requeue, decide
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.store.store import Store
from tests.support.probe import eventually

KEEP_SECONDS = 3600.0
BROKEN = JobError(code_pb2.UNAVAILABLE, "BROKEN", "it broke", {"a": "b"}, "trace")
COMPLETED = Finish(JobState.COMPLETED)
FAILED = Finish(JobState.FAILED, error=BROKEN)
RETRY = Requeue(0.0, error=BROKEN)
RELEASE = Requeue(0.0, attempt_used=False)

#: Every table that may have rows of a job.
TABLES = ("job", "waiting", "lease", "result", "attempt", "held_key")


OPTIONS = JobOptions(
    queue="q",
    priority=0,
    schedule_time=None,
    expire_time=None,
    ttl_seconds=None,
    run_policy=RunPolicy(3, 1.0, 600.0, 2.0, 900.0),
    labels={},
    output_schema_id=None,
)


def new_job(**changes: Any) -> NewJob:
    """A job for the queue `q`, as from a request without options.

    `changes` name its own fields, those of its options, or those of its run policy.
    """
    policy = {name: changes.pop(name) for name in RunPolicy.__struct_fields__ if name in changes}
    of_options = {name: changes.pop(name) for name in OPTIONS.__struct_fields__ if name in changes}
    if policy:
        of_options["run_policy"] = replace(OPTIONS.run_policy, **policy)
    return NewJob(
        **{
            "id": new_job_id(),
            "options": replace(OPTIONS, **of_options),
            "owner": Owner(),
            "input": None,
            **changes,
        }
    )


def asked_for(job: NewJob, name: str) -> Any:
    """A field of a new job, or of its options."""
    return getattr(job.options if hasattr(job.options, name) else job, name)


async def create(store: Store, **changes: Any) -> str:
    """A job that waits in its queue."""
    job = new_job(**changes)
    await store.queues.declare([job.options.queue])
    assert await store.jobs.create(job) is not None
    return job.id


async def lease(store: Store, count: int = 1, worker: str = "w") -> list[LeasedJob]:
    """Leases the next jobs of the queue `q` for half a minute."""
    return await store.claims.lease("q", [Slot(worker, 30.0)] * count)


async def create_leased(store: Store, **changes: Any) -> LeaseId:
    """A job leased by the worker `w`; no other job may be ready."""
    job_id = await create(store, **changes)
    (job,) = await lease(store)
    assert job.id.job_id == job_id
    return job.id


def end(lease_id: LeaseId, verdict: Finish | Requeue = COMPLETED, **changes: Any) -> End:
    """A decided end of a lease."""
    return replace(End(lease_id, verdict, KEEP_SECONDS), **changes)


async def report(store: Store, lease_id: LeaseId, outcome: Outcome) -> Ended:
    """Ends a lease on an outcome, as the rules decide."""
    terms = (await store.leases.read([lease_id]))[lease_id]
    return await store.lease_ends.ends.submit_one(end(lease_id, decide(terms, outcome, 0)))


async def tables_of(sql: asyncpg.Connection, job_id: str) -> set[str]:
    """The tables in which a job has a row."""
    return {t for t in TABLES if await sql.fetchval(_HAS_ROW[t], job_id)}


async def counts(sql: asyncpg.Connection, tables: Iterable[str] = TABLES) -> dict[str, int]:
    """The number of rows of tables."""
    return {table: await sql.fetchval(_COUNT[table]) for table in tables}


async def until_blocked(sql: asyncpg.Connection) -> None:
    """Waits until another session waits for a lock of this one."""
    # Not pg_stat_activity, which is the same throughout a transaction.
    waiters = (
        "SELECT count(*) FROM pg_locks"
        " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    await eventually(lambda: sql.fetchval(waiters))


_HAS_ROW = {
    table: f"SELECT EXISTS (SELECT FROM {table} WHERE {key} = $1)"
    for table, key in ((t, "id" if t == "job" else "job_id") for t in TABLES)
}
_COUNT = {table: f"SELECT count(*) FROM {table}" for table in TABLES}
