"""create_leased_jobs.sql: a job and its lease in one statement, as a creation and a claim make them
in two; or the job and its queue entry, where a job has to wait."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from msgspec.structs import replace

import jobsvc.store
from jobsvc.domain.born_lease import born_leased_job, born_leased_status
from jobsvc.domain.job import NewJob
from jobsvc.domain.lease import LeaseId, NewLease, Slot
from jobsvc.domain.owner import Owner
from jobsvc.store.jobs import BornLeased
from jobsvc.store.store import Store
from tests.store.support.samples import create, lease, new_job

SLOT = Slot("w", 30.0)
#: What differs between two leases of equal jobs.
OF_ITS_OWN = {"job_id", "lease_id"}


def new_lease(job: NewJob, number: int = -5) -> NewLease:
    return NewLease(LeaseId.of(job.id, number), SLOT)


async def born(store: Store, job: NewJob) -> BornLeased:
    """A job that is born leased."""
    await store.queues.declare([job.options.queue])
    (written,) = await store.jobs.write_leased([job], [new_lease(job)])
    assert isinstance(written, BornLeased)
    return written


async def row_of(sql: asyncpg.Connection, job_id: str) -> dict[str, Any]:
    """The lease of a job; times of its own as seconds from its start or its creation."""
    row = dict(await sql.fetchrow("SELECT * FROM lease WHERE job_id = $1", job_id))
    create_time = await sql.fetchval("SELECT create_time FROM job WHERE id = $1", job_id)
    start_time = row.pop("start_time")
    assert timedelta() <= start_time - create_time < timedelta(seconds=60)
    assert row.pop("update_time") == start_time
    row["deadline"] -= create_time if row["deadline"] == row["expire_time"] else start_time
    for name in ("run_at", "start_deadline", "expire_time"):
        row[name] = row[name] and row[name] - create_time
    row["until"] -= start_time
    return {name: value for name, value in row.items() if name not in OF_ITS_OWN}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"priority": 7, "input": '{"a": 1}', "request_id": uuid4()},
        {"ttl_seconds": 100.0, "start_within_seconds": 50.0},
        {"ttl_seconds": 100_000.0, "labels": {"a": "b"}, "retention_seconds": 5.0},
        {"owner": Owner("s", "u", b"x" * 32), "traceparent": "00-a", "tracestate": "b=c"},
    ],
)
async def test_job_is_as_if_it_had_been_created_and_leased(
    store: Store, sql: asyncpg.Connection, options: dict[str, Any]
) -> None:
    job = new_job(**options)
    times = await born(store, job)
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 0
    other = new_job(**{**options, "request_id": None})
    await create(store, **{**options, "request_id": None, "id": other.id})
    (claimed,) = await lease(store)
    assert await row_of(sql, job.id) == await row_of(sql, other.id)
    dealt = born_leased_job(job, new_lease(job), *times, claimed.delivery.terms.lease_time)
    remaining = claimed.delivery.attempt_timeout_seconds
    assert dealt.delivery.attempt_timeout_seconds == pytest.approx(remaining, abs=30)
    assert claimed == replace(
        dealt,
        id=claimed.id,
        create_time=claimed.create_time,
        delivery=replace(dealt.delivery, attempt_timeout_seconds=remaining),
    )
    (stored,) = (await store.jobs.read([job.id])).values()
    assert (stored.status.version, stored.status.attempt) == (2, 1)
    assert (stored.create_time, stored.status.start_time) == times
    assert dealt.create_time == stored.create_time


async def test_number_of_the_lease_is_the_one_given(store: Store) -> None:
    job = new_job()
    await born(store, job)
    (current,) = await store.leases.current([new_lease(job).id])
    assert current == new_lease(job).id


@pytest.mark.parametrize("priority", [-3, 0, 3])
async def test_job_waits_behind_one_that_is_ready(
    store: Store, sql: asyncpg.Connection, priority: int
) -> None:
    ahead = await create(store, priority=priority)
    job = new_job()
    (written,) = await store.jobs.write_leased([job], [new_lease(job)])
    assert isinstance(written, datetime)
    assert await sql.fetchval("SELECT count(*) FROM lease") == 0
    first, second = await lease(store, 2)
    expected = [ahead, job.id] if priority >= 0 else [job.id, ahead]
    assert [first.id.job_id, second.id.job_id] == expected


async def test_job_that_is_not_due_holds_nobody_up(store: Store) -> None:
    await create(store, schedule_time=datetime.now(UTC) + timedelta(hours=1))
    await born(store, new_job())


async def test_jobs_of_other_queues_hold_nobody_up(store: Store) -> None:
    await create(store, queue="other")
    await born(store, new_job())


@pytest.mark.parametrize(("for_seconds", "leased"), [(None, False), (3600, False), (-1, True)])
async def test_paused_queue_leases_nothing(
    store: Store, sql: asyncpg.Connection, for_seconds: int | None, leased: bool
) -> None:
    await store.queues.declare(["q"])
    end = for_seconds and datetime.now(UTC) + timedelta(seconds=for_seconds)
    await sql.execute("UPDATE queue SET paused = true, pause_end_time = $1", end)
    job = new_job()
    (written,) = await store.jobs.write_leased([job], [new_lease(job)])
    assert isinstance(written, BornLeased) is leased
    assert await sql.fetchval("SELECT count(*) FROM waiting") == (0 if leased else 1)


async def test_each_job_of_a_statement_stands_for_itself(
    store: Store, sql: asyncpg.Connection
) -> None:
    await store.queues.declare(["q", "full"])
    await create(store, queue="full")
    repeated = new_job(request_id=uuid4())
    assert await store.jobs.create(repeated)
    (first,) = await lease(store)
    jobs = [
        new_job(),
        new_job(request_id=repeated.request_id),
        new_job(queue="full"),
        new_job(),
        new_job(queue="gone"),
    ]
    written = await store.jobs.write_leased(jobs, [new_lease(jobs[n], n) for n in (4, 2, 1, 0)])
    assert [type(one) for one in written] == [
        BornLeased,
        type(None),
        datetime,
        datetime,
        type(None),
    ]
    rows = await sql.fetch("SELECT job_id, lease_id FROM lease WHERE job_id <> $1", first.id.job_id)
    assert [(str(row["job_id"]), row["lease_id"]) for row in rows] == [(jobs[0].id, 0)]
    waiting = await sql.fetch("SELECT job_id FROM waiting ORDER BY job_id")
    assert {str(row["job_id"]) for row in waiting} > {jobs[2].id, jobs[3].id}


def test_jobs_are_written_by_the_same_words_as_others() -> None:
    """What is true of the one statement is true of the other: the rules have one text."""

    def rules(name: str) -> str:
        text = (files(jobsvc.store) / "queries" / f"{name}.sql").read_text(encoding="utf-8")
        return text[text.index("WITH known") : text.index("RETURNING")]

    assert rules("create_leased_jobs") == rules("create_jobs")


@pytest.mark.parametrize("seconds", [30.0, 12.3456789])
async def test_status_of_a_job_that_is_born_leased_is_what_a_read_says(
    store: Store, seconds: float
) -> None:
    job = new_job(input='{"a": 1}', start_within_seconds=50.0)
    lease_of_job = NewLease(LeaseId.of(job.id, 7), Slot("w", seconds))
    await store.queues.declare([job.options.queue])
    (written,) = await store.jobs.write_leased([job], [lease_of_job])
    assert isinstance(written, BornLeased)
    known = born_leased_status(job, lease_of_job, written.start_time)
    read = (await store.jobs.read([job.id]))[job.id]
    assert (known.queue, known.status, known.etag) == (read.queue, read.status, read.etag)
