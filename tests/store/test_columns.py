"""Many rows as a few parameters: a value that is sent once, or in one text, reaches every row."""

import random
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from jobsvc.domain.job import JobState, NewJob
from jobsvc.domain.job_id import new_job_id
from jobsvc.domain.lease import Slot
from jobsvc.domain.lease_end import Progress
from jobsvc.domain.outcome import Finish
from jobsvc.domain.owner import Owner
from jobsvc.domain.retry import RetryPolicy
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.store.columns import SEPARATOR, documents, short, sparse, words
from jobsvc.store.records import leased_jobs_from
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    RETRY,
    asked_for,
    create,
    create_leased,
    end,
    lease,
    new_job,
)

LATER = datetime.now(UTC) + timedelta(hours=1)
#: Two values of every field of a job: the usual one, and another.
KINDS = {
    "queue": ("q", "p"),
    "schedule_time": (None, LATER),
    "expire_time": (None, LATER + timedelta(hours=1)),
    "priority": (0, -7),
    "run_policy": (
        RunPolicy(3, 1.0, 600.0, 2.0, 900.0),
        RunPolicy(5, 0.5, 60.0, 1.5, 1.5, 7.0, start_within_seconds=60.5),
    ),
    "owner": (Owner(), Owner("web", "ada", b"hash")),
    "unique_key": (None, f"k {SEPARATOR}"),
    "labels": ({}, {"a": "ä\n\x1f"}),
    "request_id": (None, "01a20804-e9ba-7c83-b2c8-3509c2b541a3"),
    "request_digest": (None, b"\0digest"),
    "traceparent": ("", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    "tracestate": ("", "a=b"),
    "input": (None, '{"a": "\\u001f ä"}'),
}
#: Fields that change whether or in which order a job is leased.
_NOT_LEASED = ("queue", "schedule_time", "expire_time", "priority")


@pytest.mark.parametrize("odd", [0, 1, 2])
async def test_one_job_of_a_batch_may_differ_in_everything(store: Store, odd: int) -> None:
    jobs = [new_job(**{name: pair[n == odd] for name, pair in KINDS.items()}) for n in range(3)]
    await _same_when_read(store, jobs)


@pytest.mark.parametrize("which", [0, 1])
async def test_jobs_of_a_batch_may_agree_in_everything(store: Store, which: int) -> None:
    alone = {"unique_key", "request_id"} if which else set()
    agreed = {name: pair[0 if name in alone else which] for name, pair in KINDS.items()}
    await _same_when_read(store, [new_job(**agreed) for _ in range(3)])
    shared = new_job(**agreed)
    await _same_when_read(store, [replace(shared, id=new_job_id()) for _ in range(3)])


async def _same_when_read(store: Store, jobs: list[NewJob]) -> None:
    await store.queues.declare(["p", "q"])
    async with store.database.transaction() as connection:
        assert all((await store.jobs.create_all(connection, jobs))[1])
    read = await store.jobs.read([job.id for job in jobs])
    for job in jobs:
        stored = read[job.id]
        assert {n: getattr(stored, n) for n in KINDS} == {n: asked_for(job, n) for n in KINDS}


@pytest.mark.parametrize("odd", [0, 1, 2])
async def test_one_job_of_a_claim_may_differ_in_everything(store: Store, odd: int) -> None:
    kinds = {name: pair for name, pair in KINDS.items() if name not in _NOT_LEASED}
    jobs = [new_job(**{name: pair[n == odd] for name, pair in kinds.items()}) for n in range(3)]
    await store.queues.declare(["q"])
    async with store.database.transaction() as connection:
        assert all((await store.jobs.create_all(connection, jobs))[1])
    leased = {job.id.job_id: job for job in await lease(store, 3)}
    assert list(leased) == sorted(job.id for job in jobs)
    stored = await store.jobs.read([job.id for job in jobs])
    for job in jobs:
        got = leased[job.id].delivery
        assert leased[job.id].create_time == stored[job.id].create_time
        assert leased[job.id].input == job.input
        assert (got.owner_service, got.owner_user) == (job.owner.service, job.owner.user_id)
        assert got.has_session == (job.owner.session_hash is not None)
        policy = job.options.run_policy
        assert got.attempt_timeout_seconds == policy.attempt_timeout_seconds
        assert got.labels == job.options.labels
        assert got.terms.retry == RetryPolicy(*astuple(policy)[:4])
        assert got.terms.retention_seconds == policy.retention_seconds
        same = ("traceparent", "tracestate")
        assert {n: getattr(got.terms, n) for n in same} == {n: asked_for(job, n) for n in same}
    one, other = (leased[job.id].delivery for n, job in enumerate(jobs) if n != odd)
    assert one is other


async def test_large_inputs_of_a_claim_keep_their_order_and_have_rows_of_their_own(
    store: Store,
) -> None:
    sizes = [10, 9_000, 0, 20, 250_000, 8_000]
    jobs = [new_job(input=f'{{"a":"{n * "x"}"}}' if n else None) for n in sizes]
    jobs.sort(key=lambda job: job.id)
    await store.queues.declare(["q"])
    async with store.database.transaction() as connection:
        await store.jobs.create_all(connection, jobs)
        asked = "q", 9, ["w"], [1], [30.0], None, None, random.randbytes(72)
        rows = await connection.fetch(store.database.sql["lease_jobs"], *asked)
    assert sorted(len(row["slots"]) for row in rows) == [1, 1, 4]
    leased = leased_jobs_from(rows, [Slot("w", 30.0)] * 9)
    assert [(job.id.job_id, job.input) for job in leased] == [(job.id, job.input) for job in jobs]


async def test_jobs_of_a_claim_share_when_they_expire(store: Store) -> None:
    jobs = [new_job(ttl_seconds=ttl, attempt_timeout_seconds=900.0) for ttl in (60.0, 60.0, 70.0)]
    await store.queues.declare(["q"])
    async with store.database.transaction() as connection:
        await store.jobs.create_all(connection, jobs)
    leased = {job.id.job_id: job.delivery for job in await lease(store, 3)}
    one, other, longer = (leased[job.id] for job in jobs)
    assert one is other
    assert 50 < one.attempt_timeout_seconds < 60 < longer.attempt_timeout_seconds < 70


async def test_workers_of_a_claim_share_nothing(store: Store) -> None:
    for _ in range(4):
        await create(store)
    slots = [Slot(worker, 30.0) for worker in ("v", "w", "v", "w")]
    deliveries = [job.delivery for job in await store.claims.lease("q", slots)]
    assert [d.terms.worker_id for d in deliveries] == ["v", "w", "v", "w"]
    assert deliveries[0] is deliveries[2]
    assert deliveries[1] is deliveries[3]


async def test_retried_job_of_a_claim_has_its_error_for_itself(store: Store) -> None:
    retried = await create_leased(store)
    await store.lease_ends.ends.submit_one(end(retried, RETRY))
    await create(store)
    jobs = await lease(store, 2)
    seen = {job.id.job_id == retried.job_id: job.delivery for job in jobs}
    assert (seen[True].previous_error, seen[False].previous_error) == (BROKEN, None)
    assert (seen[True].terms.attempt, seen[False].terms.attempt) == (2, 1)


async def test_ends_of_a_batch_may_differ_in_everything(
    store: Store, sql: asyncpg.Connection
) -> None:
    for _ in range(4):
        await create(store)
    ids = [job.id for job in await lease(store, 4)]
    until = await sql.fetchval("SELECT max(until) FROM lease")
    ends = [
        end(ids[0], Finish(JobState.COMPLETED)),
        end(
            ids[1],
            Finish(JobState.COMPLETED, output='{"a": 1}'),
            retention_seconds=7.0,
            progress=Progress(100, f"done {SEPARATOR}"),
        ),
        end(ids[2], Finish(JobState.FAILED, error=BROKEN), until=until),
        end(ids[3], Finish(JobState.CANCELLED), until=until - timedelta(days=1)),
    ]
    assert await store.lease_ends.ends.submit(ends) == [True, True, True, False]
    read = await store.jobs.read([i.job_id for i in ids])
    statuses = [read[i.job_id].status for i in ids]
    assert [s.state.name for s in statuses] == ["COMPLETED", "COMPLETED", "FAILED", "PROCESSING"]
    assert [s.output for s in statuses] == [None, '{"a": 1}', None, None]
    assert [s.progress_percent for s in statuses] == [None, 100, None, None]
    assert [s.progress_message for s in statuses] == ["", f"done {SEPARATOR}", "", ""]
    assert [s.error for s in statuses] == [None, None, BROKEN, None]
    kept = [s.purge_time - s.end_time for s in statuses[:3] if s.purge_time and s.end_time]
    assert [k.total_seconds() for k in kept] == [3600.0, 7.0, 3600.0]


@given(st.lists(st.sampled_from(["", "a", "b"]), min_size=1))
def test_short_column_is_whole_or_one_value(column: list[str]) -> None:
    sent = short(column)
    assert list(sent) == column or list(sent) * len(column) == column
    assert len(sent) == 1 or len(set(column)) > 1


@given(st.lists(st.sampled_from([None, 1, 2]), min_size=1))
def test_sparse_column_is_whole_or_nothing(column: list[int | None]) -> None:
    assert list(sparse(column)) == ([] if set(column) == {None} else column)


def test_text_columns_are_one_text() -> None:
    assert words(["a", "b"]) == "a b"
    assert documents(["{}", None, "[]"]) == f"{{}}{SEPARATOR}{SEPARATOR}[]"
    assert documents([None, None]) is None
