"""Batches of bulk operations against a model: each job once, whatever others do in between."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from jobsvc.domain.bulk_operation import (
    BulkAction,
    BulkKind,
    BulkOperation,
    BulkRequest,
    progress,
)
from jobsvc.domain.job import Job, JobState
from jobsvc.domain.job_control import JobChange
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.jobs.bulk_batch import BulkBatch, Tally
from jobsvc.store.sessions import Pooling
from jobsvc.store.store import Store, open_store
from tests.store.support.samples import create
from tests.support.settings import TEST_SETTINGS

_LEASE = """
    WITH gone AS (DELETE FROM waiting WHERE job_id = $1 RETURNING *)
    INSERT INTO lease (
        job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
        worker_id, start_time, duration, until, deadline)
    SELECT job_id, 1, queue, rank, attempt + 1, 0, version + 1, now(), keyed, 'w', now(), 30,
        now() + interval '1 h', now() + interval '1 h'
    FROM gone
"""
_END = """
    WITH gone AS (DELETE FROM waiting WHERE job_id = $1 RETURNING *),
    freed AS (DELETE FROM held_key WHERE job_id = $1)
    INSERT INTO result (
        job_id, state, attempt, version, worker_id, end_time, purge_time, progress_message)
    SELECT job_id, $2, attempt, version + 1, '', now(), now() + interval '1 h', '' FROM gone
"""
USERS = ("", "ann", "bob")
LABELS: tuple[dict[str, str], ...] = ({}, {"a": "1"}, {"a": "1", "b": "2"})
ACTIONS = {
    BulkKind.CANCEL: BulkAction(BulkKind.CANCEL, reason="why"),
    BulkKind.RETRY: BulkAction(BulkKind.RETRY, extra_attempts=1),
    BulkKind.DELETE: BulkAction(BulkKind.DELETE),
    BulkKind.UPDATE: BulkAction(
        BulkKind.UPDATE, change=JobChange(frozenset({"priority"}), priority=9)
    ),
}


@pytest.fixture
def declared() -> tuple[str, ...]:
    return ("q0", "q1")


@pytest.fixture(params=[Pooling.SESSION, Pooling.TRANSACTION])
async def store(
    dsn: str, declared: tuple[str, ...], request: pytest.FixtureRequest
) -> AsyncIterator[Store]:
    """A store, also as it is behind a pooler that lends sessions for a transaction."""
    async with open_store(
        dsn, "test-server", 4, statement_seconds=10, max_queues=1000, pooling=request.param
    ) as opened:
        await opened.queues.declare(declared)
        yield opened


class Example:
    """Some jobs of one service, and an operation on them."""

    def __init__(self, store: Store, sql: asyncpg.Connection, seed: int) -> None:
        self.store = store
        self.sql = sql
        self.random = random.Random(seed)
        self.service = f"service-{seed}"
        #: Jobs that others have moved while the operation ran.
        self.moved: set[str] = set()

    async def enter(self, job_id: str, state: JobState) -> None:
        """Moves a waiting job into a state."""
        if state is JobState.PROCESSING:
            await self.sql.execute(_LEASE, job_id)
        elif state is not JobState.PENDING:
            await self.sql.execute(_END, job_id, state.value)

    async def make_jobs(self, count: int) -> list[Job]:
        """Jobs in all states, newest first. Keys are held by one job at a time."""
        ids, held = [], set[tuple[str, str]]()
        for _ in range(count):
            queue, key = self.random.choice(("q0", "q1")), self.random.choice((None, "a", "b"))
            state = self.random.choice(tuple(JobState))
            if (queue, key) in held:
                key = None
            elif key is not None and not state.ended:
                held.add((queue, key))
            owner = Owner(self.service, self.random.choice(USERS))
            labels = self.random.choice(LABELS)
            job_id = await create(
                self.store, queue=queue, unique_key=key, owner=owner, labels=labels
            )
            await self.enter(job_id, state)
            ids.append(job_id)
        jobs = await self.store.jobs.read(ids)
        return [jobs[job_id] for job_id in sorted(ids, reverse=True)]

    async def make_operation(self) -> BulkOperation:
        kind = self.random.choice(tuple(BulkKind))
        may = sorted(kind.states)
        wanted = JobFilter(
            queues=frozenset(self.random.choice(((), ("q0",), ("q0", "q1")))),
            states=frozenset(self.random.sample(may, self.random.randint(0, len(may)))),
            labels=self.random.choice(LABELS[:2]),
        )
        most = self.random.choice((0, 0, 3, 8))
        operation = await self.store.bulk_operations.create(
            str(uuid4()),
            Owner(self.service, self.random.choice(USERS)),
            BulkRequest(wanted, ACTIONS[kind], most=most),
            None,
            b"",
            1000,
            1000,
        )
        assert operation is not None
        return operation

    async def disturb(self, jobs: Sequence[Job]) -> None:
        """Somebody else moves a job."""
        job = self.random.choice(jobs)
        control, now = self.store.job_control, (await self.store.jobs.read([job.id])).get(job.id)
        if now is None:
            return
        self.moved.add(job.id)
        versions = {job.id: now.status.version}
        match self.random.choice(("lease", "cancel", "delete", "fail")):
            case "lease":
                await self.sql.execute(_LEASE, job.id)
            case "cancel":
                await control.cancel(job.id, None, "", 60.0, 30.0)
            case "delete" if now.status.state.ended:
                await control.delete(versions, 0.0)
            case "fail":
                await self.sql.execute(_END, job.id, JobState.FAILED.value)

    async def run(self, operation: BulkOperation, jobs: Sequence[Job]) -> list[Tally]:
        """Runs an operation to its end, in batches of all sizes, disturbed by others."""
        tallies = []
        for _ in range(1000):
            async with self.store.database.transaction() as connection:
                batch = BulkBatch(self.store, TEST_SETTINGS, operation, connection)
                result = await batch.run(self.random.randint(1, 7))
                after = progress(operation, result)
                await self.store.bulk_operations.save(
                    operation.id, after, operation.next_time, 60.0, connection
                )
            tallies.append(batch.tally)
            assert (result.done, list(result.skips)) == (batch.tally.done, batch.tally.skips)
            if after.is_complete:
                return tallies
            operation = msgspec.structs.replace(
                operation, position=after.position, done=after.done, skipped=after.skipped
            )
            if self.random.random() < 0.4:
                await self.disturb(jobs)
        raise AssertionError("it does not end")


@pytest.mark.parametrize("seed", range(40))
async def test_every_matching_job_is_touched_or_skipped_exactly_once(
    store: Store, sql: asyncpg.Connection, seed: int
) -> None:
    example = Example(store, sql, seed)
    jobs = await example.make_jobs(30)
    operation = await example.make_operation()
    matching = [job.id for job in jobs if operation.wanted.matches(job, operation.owner)]
    later = await create(store, queue="q0", owner=Owner(example.service))
    tallies = await example.run(operation, jobs)

    touched = [job_id for tally in tallies for job_id in tally.changed]
    skipped = [skip.job_id for tally in tallies for skip in tally.skips]
    assert len({*touched, *skipped}) == len(touched) + len(skipped), "none twice"
    most, calm = operation.request.most, [i for i in matching if i not in example.moved]
    reached = set(calm)
    if most and len(touched) == most:
        # It ends with the job that is the last one that it may touch.
        reached = {job_id for job_id in calm if job_id >= min(touched)}
    assert {*touched, *skipped} - example.moved >= reached
    assert {*touched, *skipped} - example.moved <= set(calm)
    assert not most or len(touched) <= most

    now = await store.jobs.read([job.id for job in jobs])
    for job in jobs:
        if job.id in example.moved:
            continue
        if operation.request.action.kind is BulkKind.DELETE and job.id in touched:
            assert job.id not in now
        else:
            assert now[job.id].status.version == job.status.version + (job.id in touched)
    kept = await store.bulk_operations.read(operation.id)
    assert kept is not None
    assert (kept.done, sum(kept.skipped.values())) == (
        sum(tally.done for tally in tallies),
        len(skipped),
    )
    (left,) = (await store.jobs.read([later])).values()
    assert left.status.version == 1, "created after the operation"


async def test_waiting_job_whose_time_is_over_keeps_no_key(
    store: Store, sql: asyncpg.Connection
) -> None:
    dead = await create(store, queue="q0", unique_key="k")
    await sql.execute(_END, dead, JobState.FAILED.value)
    holder = await create(store, queue="q0", unique_key="k")
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 s'")
    operation = await store.bulk_operations.create(
        str(uuid4()), Owner(), BulkRequest(JobFilter(), ACTIONS[BulkKind.RETRY]), None, b"", 10, 10
    )
    assert operation is not None
    async with store.database.transaction() as connection:
        batch = BulkBatch(store, TEST_SETTINGS, operation, connection)
        result = await batch.run(10)
    assert (result.done, result.skips) == (1, [])
    assert set(batch.tally.changed) == {dead, holder}, "who follows the holder must hear of it"
    states = {j.id: j.status.state for j in (await store.jobs.read([dead, holder])).values()}
    assert states == {dead: JobState.PENDING, holder: JobState.FAILED}


async def test_batch_that_is_rolled_back_is_done_again(
    store: Store, sql: asyncpg.Connection
) -> None:
    """What a killed replica leaves: the operation where it was, and its jobs, too."""
    ids = [await create(store, queue="q0") for _ in range(5)]
    request = BulkRequest(JobFilter(), ACTIONS[BulkKind.CANCEL])
    operation = await store.bulk_operations.create(
        str(uuid4()), Owner(), request, None, b"", 10, 10
    )
    assert operation is not None
    for is_killed in (True, False):
        with suppress(ZeroDivisionError):
            async with store.database.transaction() as connection:
                claimed = await store.bulk_operations.claim(connection)
                assert claimed.operation == operation
                batch = BulkBatch(store, TEST_SETTINGS, operation, connection)
                result = await batch.run(1000)
                assert result.done == 5
                after = progress(operation, result)
                await store.bulk_operations.save(
                    operation.id, after, operation.next_time, 60.0, connection
                )
                if is_killed:
                    raise ZeroDivisionError
        waiting = await sql.fetchval("SELECT count(*) FROM waiting")
        assert waiting == (5 if is_killed else 0)
    jobs = await store.jobs.read(ids)
    assert {job.status.version for job in jobs.values()} == {2}


async def test_one_replica_at_a_time_has_an_operation(store: Store) -> None:
    request = BulkRequest(JobFilter(), ACTIONS[BulkKind.CANCEL])
    made = [
        await store.bulk_operations.create(str(uuid4()), Owner(), request, None, b"", 10, 10)
        for _ in range(2)
    ]
    found = []
    async with store.database.transaction() as one, store.database.transaction() as other:
        for connection in (one, other):
            claimed = (await store.bulk_operations.claim(connection)).operation
            assert claimed is not None
            found.append(claimed.id)
        async with store.database.transaction() as third:
            nothing = await store.bulk_operations.claim(third)
            assert nothing.operation is None
            assert nothing.running == 2
    assert found == [operation.id for operation in made if operation]
