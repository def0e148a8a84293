"""Bulk operations in the database: what a claim sees of other work, and what is kept."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from jobsvc.domain.bulk_operation import (
    BulkAction,
    BulkKind,
    BulkOperation,
    BulkRequest,
    BulkState,
    Progress,
    Skip,
    SkipReason,
)
from jobsvc.domain.job import JobState
from jobsvc.domain.job_control import JobChange
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.store.bulk_operations import Claimed
from jobsvc.store.store import Store
from tests.store.support.samples import create, create_leased, lease
from tests.support.probe import eventually

TIME = datetime(2026, 1, 1, tzinfo=UTC)


async def start(store: Store, request: BulkRequest, owner: Owner | None = None) -> BulkOperation:
    operation = await store.bulk_operations.create(
        str(uuid4()), owner or Owner(), request, None, b"", 10, 10
    )
    assert operation is not None
    return operation


async def claim(store: Store) -> Claimed:
    async with store.database.transaction() as connection:
        return await store.bulk_operations.claim(connection)


async def test_claim_sees_jobs_that_anybody_creates_and_leases(store: Store) -> None:
    """Late by the second in which a session keeps its counters to itself."""
    before = await claim(store)
    for _ in range(3):
        await create(store)
    for _ in range(2):
        await lease(store)
    after = await eventually(
        lambda: claim(store),
        lambda found: found.created >= before.created + 3 and found.leased >= before.leased + 2,
        seconds=60,
    )
    assert (after.created, after.leased) == (before.created + 3, before.leased + 2)


async def test_operation_is_kept_as_it_was_asked_for(store: Store) -> None:
    wanted = JobFilter(
        frozenset({"q", "r"}),
        frozenset({JobState.PENDING}),
        {"a": "ü\x7f"},
        own_session=True,
        create_time_from=TIME,
        create_time_until=TIME,
    )
    change = JobChange(frozenset({"labels", "expire_time"}), labels={"b": "2"}, expire_time=TIME)
    request = BulkRequest(wanted, BulkAction(BulkKind.UPDATE, change=change), 0.5, 2**62)
    owner = Owner("web", "ann", b"\x00\xff")
    started = await start(store, request, owner)
    assert (started.request, started.owner) == (request, owner)
    assert (started.state, started.version, started.position) == (BulkState.RUNNING, 1, None)
    assert await store.bulk_operations.read(started.id) == started
    assert (await claim(store)).operation == started


async def test_progress_is_kept(store: Store) -> None:
    started = await start(store, BulkRequest(JobFilter(), BulkAction(BulkKind.DELETE)))
    skip = Skip(str(uuid4()), SkipReason.JOB_NOT_FOUND, "gone")
    for is_complete in (False, True):
        after = Progress(skip.job_id, 7, {"JOB_NOT_FOUND": 2}, skip, is_complete)
        async with store.database.transaction() as connection:
            await store.bulk_operations.save(started.id, after, TIME, 60.0, connection)
        kept = await store.bulk_operations.read(started.id)
        assert kept is not None
        assert (kept.position, kept.done, kept.skipped, kept.last_error) == after[:4]
        assert kept.next_time == TIME
        assert (kept.end_time is not None) == is_complete
        assert (kept.purge_time is not None) == is_complete
    assert kept.version == started.version + 2
    assert (await claim(store)).operation is None
    assert await store.bulk_operations.stop(started.id, 60.0) is None


async def test_operation_that_is_due_first_is_claimed(store: Store) -> None:
    request = BulkRequest(JobFilter(), BulkAction(BulkKind.DELETE))
    first, second = await start(store, request), await start(store, request)
    claimed = await claim(store)
    assert claimed.operation == first
    assert claimed.running == 2
    later = Progress(None, 0, {}, None, is_complete=False)
    async with store.database.transaction() as connection:
        future = claimed.now.replace(year=claimed.now.year + 1)
        await store.bulk_operations.save(first.id, later, future, 60.0, connection)
    claimed = await claim(store)
    assert claimed.operation == second
    await store.bulk_operations.stop(second.id, 60.0)
    claimed = await claim(store)
    assert claimed.operation is None
    assert claimed.running == 1
    assert claimed.due_seconds is not None
    assert claimed.due_seconds > 86_400


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.PROCESSING])
async def test_jobs_in_other_states_are_not_cancelled(store: Store, state: JobState) -> None:
    """A job may leave its state between the walk and the statement."""
    leased = await create_leased(store)
    waiting = await create(store)
    async with store.database.transaction() as connection:
        done = await store.job_control.cancel_all(
            [leased.job_id, waiting], [state], "why", 60.0, 30.0, connection
        )
    assert done == ({waiting: None} if state is JobState.PENDING else {leased.job_id: leased})
    jobs = await store.jobs.read([waiting, leased.job_id])
    assert (jobs[waiting].status.state is JobState.CANCELLED) == (waiting in done)
    assert bool(jobs[leased.job_id].status.cancel_request_time) == (leased.job_id in done)
