"""lease_jobs.sql and ready_queues.sql: who gets which job next."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import pytest

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import QueuePosition, Slot
from jobsvc.domain.outcome import Failure
from jobsvc.domain.owner import Owner
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    create,
    create_leased,
    lease,
    report,
    tables_of,
    until_blocked,
)
from tests.support.samples import untimed


async def test_leased_job_is_processing(store: Store, sql: asyncpg.Connection) -> None:
    job_id = await create(
        store,
        owner=Owner("web", "ada", b"hash"),
        input='{"a": 1}',
        labels={"a": "b"},
        traceparent="tp",
        tracestate="ts",
        retention_seconds=7.0,
    )
    (job,) = await lease(store)
    assert await tables_of(sql, job_id) == {"job", "lease"}
    terms = job.delivery.terms
    assert (job.id.job_id, terms.queue, terms.worker_id) == (job_id, "q", "w")
    assert (terms.attempt, terms.cancel_requested) == (1, False)
    assert (terms.retention_seconds, terms.traceparent, terms.tracestate) == (7.0, "tp", "ts")
    got = job.delivery
    assert (job.input, got.labels, got.duration_seconds) == ('{"a": 1}', {"a": "b"}, 30.0)
    assert (got.owner_service, got.owner_user, got.has_session) == ("web", "ada", True)
    assert got.previous_error is None
    read = (await store.jobs.read([job_id]))[job_id]
    assert (read.status.state, read.status.version) == (JobState.PROCESSING, 2)
    assert (read.status.attempt, read.status.worker_id) == (1, "w")
    assert read.status.start_time is not None
    assert read.status.lease_expire_time == read.status.start_time + timedelta(seconds=30)
    (again,) = (await store.leases.read([job.id])).values()
    assert abs(again.lease_time - terms.lease_time) < 5
    assert untimed(again) == untimed(terms)


async def test_jobs_leave_by_priority_then_time_then_id(
    store: Store, sql: asyncpg.Connection
) -> None:
    ids = [await create(store, priority=priority) for priority in (0, 5, 0, -5, 5, 0)]
    # The third became ready first; the first and the last at the very same time.
    await sql.execute(
        "UPDATE waiting SET run_at = now() - interval '1 minute'"
        " * (CASE job_id WHEN $1 THEN 9 WHEN $2 THEN 5 WHEN $3 THEN 5 ELSE 1 END)",
        ids[2],
        ids[0],
        ids[5],
    )
    await sql.execute("UPDATE waiting SET run_at = now() - interval '1 minute' WHERE rank = -5")
    order = [ids[1], ids[4], ids[2], ids[0], ids[5], ids[3]]
    assert [job.id.job_id for job in await lease(store, 3)] == order[:3]
    assert [job.id.job_id for job in await lease(store, 9)] == order[3:]


async def test_search_may_begin_at_a_queue_position(store: Store) -> None:
    passed, low, first, high = [await create(store, priority=p) for p in (0, -5, 0, 5)]
    run_time = (await store.jobs.read([first]))[first].create_time
    slots = [Slot("w", 30.0)] * 9

    async def search(begin: QueuePosition | None) -> tuple[list[str], QueuePosition | None]:
        claimed = await store.claims.claim("q", slots, begin)
        return [job.id.job_id for job in claimed.jobs()], claimed.last

    low_time = (await store.jobs.read([low]))[low].create_time
    # Only jobs before the position that have its rank are passed over.
    assert await search(QueuePosition(0, run_time)) == (
        [high, first, low],
        QueuePosition(5, low_time),
    )
    assert await search(QueuePosition(0, run_time)) == ([], None)
    found, _ = await search(QueuePosition(7, run_time))
    assert found == [passed]
    assert await search(None) == ([], None)


async def test_each_slot_gets_its_job_and_its_duration(store: Store) -> None:
    ids = [await create(store) for _ in range(3)]
    slots = [Slot("a", 10.0), Slot("b", 20.0), Slot("a", 30.0), Slot("c", 40.0)]
    jobs = await store.claims.lease("q", slots)
    assert [job.id.job_id for job in jobs] == ids
    assert [(j.delivery.terms.worker_id, j.delivery.duration_seconds) for j in jobs] == [
        ("a", 10.0),
        ("b", 20.0),
        ("a", 30.0),
    ]


async def test_job_is_not_leased_before_its_time(store: Store, sql: asyncpg.Connection) -> None:
    job_id = await create(store, schedule_time=datetime.now(UTC) + timedelta(hours=1))
    assert await lease(store) == []
    assert await store.claims.ready(["q"]) == []
    await sql.execute("UPDATE waiting SET run_at = run_at - interval '2 hours'")
    assert await store.claims.ready(["q", "p"]) == ["q"]
    (job,) = await lease(store)
    assert job.id.job_id == job_id
    assert await store.claims.ready(["q"]) == []


async def test_paused_queue_hands_out_nothing(store: Store, sql: asyncpg.Connection) -> None:
    await create(store)
    await sql.execute("UPDATE queue SET paused = true")
    assert await lease(store) == []
    await sql.execute("UPDATE queue SET paused = false")
    assert len(await lease(store)) == 1


async def test_queue_hands_out_its_own_jobs_only(store: Store) -> None:
    await create(store, queue="p")
    await create(store)
    assert [job.delivery.terms.queue for job in await lease(store, 5)] == ["q"]
    assert await store.claims.lease("unknown", [Slot("w", 30.0)]) == []


async def test_leasers_at_once_never_share_a_job(store: Store) -> None:
    ids = [await create(store) for _ in range(60)]
    taken = await asyncio.gather(*(lease(store, 7, f"w{n}") for n in range(12)))
    assert all(len(jobs) <= 7 for jobs in taken)
    leased = [job.id for jobs in taken for job in jobs]
    assert len({lease_id.job_id for lease_id in leased}) == len(leased)
    rest = await lease(store, 100)
    assert {lease_id.job_id for lease_id in leased} | {j.id.job_id for j in rest} == set(ids)


async def test_leaser_passes_over_what_another_one_is_taking(
    store: Store, sql: asyncpg.Connection
) -> None:
    ids = [await create(store) for _ in range(4)]
    async with sql.transaction():
        # Another leaser in the middle of its statement.
        await sql.execute("SELECT FROM waiting WHERE job_id = ANY ($1) FOR UPDATE", ids[:2])
        jobs = await asyncio.wait_for(lease(store, 3), 5)
    assert [job.id.job_id for job in jobs] == ids[2:]
    assert [job.id.job_id for job in await lease(store, 3)] == ids[:2]


async def test_every_lease_of_a_job_has_an_id_of_its_own(store: Store) -> None:
    lease_id = await create_leased(store)
    seen = {lease_id}
    for _ in range(5):
        assert await store.leases.redeliver([lease_id])
        (job,) = await lease(store)
        lease_id = job.id
        assert lease_id not in seen
        seen.add(lease_id)


async def test_lease_ids_cannot_be_guessed_from_each_other(store: Store) -> None:
    for _ in range(300):
        await create(store)
    claims = [await lease(store, 100) for _ in range(3)]
    numbers = [job.id.number for jobs in claims for job in jobs]
    assert len(set(numbers)) == 300
    # Every one of the 64 bits is set in about half of them: the bounds are ten sigma away.
    set_in = [sum(number >> bit & 1 for number in numbers) for bit in range(64)]
    assert all(63 < count < 237 for count in set_in), set_in
    # No distance between leases in a row comes twice, as those of a counter would.
    distances = {after - before for before, after in pairwise(numbers)}
    assert len(distances) == 299


@pytest.mark.parametrize(
    ("attempt_seconds", "ttl", "seconds"), [(60.0, None, 60), (60.0, 20.0, 20), (60.0, 900.0, 60)]
)
async def test_deadline_is_the_end_of_the_attempt_or_of_the_job(
    store: Store, sql: asyncpg.Connection, attempt_seconds: float, ttl: float | None, seconds: float
) -> None:
    await create_leased(store, attempt_timeout_seconds=attempt_seconds, ttl_seconds=ttl)
    left = await sql.fetchval("SELECT extract(epoch FROM deadline - start_time)::float8 FROM lease")
    assert left == pytest.approx(seconds, abs=1)


async def test_jobs_that_are_not_due_stand_in_nobodys_way(
    store: Store, sql: asyncpg.Connection
) -> None:
    urgent = [await create(store, priority=9) for _ in range(3)]
    normal = [await create(store) for _ in range(2)]
    await sql.execute("UPDATE waiting SET run_at = now() + interval '1 hour' WHERE rank = -9")
    assert await store.claims.ready(["q"]) == ["q"]
    assert [job.id.job_id for job in await lease(store, 3)] == normal
    assert await store.claims.ready(["q"]) == []
    await sql.execute("UPDATE waiting SET run_at = now() - interval '1 hour'")
    assert [job.id.job_id for job in await lease(store, 2)] == urgent[:2]


async def test_no_more_rows_are_locked_than_are_leased(store: Store) -> None:
    for priority in (2, 1, 0):
        for _ in range(3):
            await create(store, priority=priority)
    # Another leaser has taken the first four, over two priorities, and has not committed yet.
    async with store.database.transaction() as connection:
        asked = "q", 4, ["v"], [1], [30.0], None, None, random.randbytes(32)
        taken = await connection.fetch(store.database.sql["lease_jobs"], *asked)
        rest = await lease(store, 9)
    theirs = [lease_id for row in taken for lease_id in row["lease_ids"].split(" ")]
    assert [len(theirs), len(rest)] == [4, 5]
    assert not {i[:36] for i in theirs} & {job.id.job_id for job in rest}


async def test_expired_job_is_not_leased(store: Store, sql: asyncpg.Connection) -> None:
    await create(store, ttl_seconds=60.0)
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 second'")
    assert await lease(store) == []


async def test_next_attempt_knows_why_the_last_one_failed(store: Store) -> None:
    lease_id = await create_leased(store)
    await report(store, lease_id, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store)
    assert job.delivery.terms.attempt == 2
    assert job.delivery.previous_error == BROKEN


async def test_lease_does_not_age_while_its_statement_waits(
    store: Store, sql: asyncpg.Connection
) -> None:
    await store.queues.declare(["q"])
    assert await lease(store) == [], "from now on the statement is prepared"
    await create(store)
    async with asyncio.TaskGroup() as tasks:
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease IN EXCLUSIVE MODE")
            leasing = tasks.create_task(lease(store))
            await until_blocked(sql)
            freed = await sql.fetchval("SELECT clock_timestamp()")
        (job,) = await leasing
    read = (await store.jobs.read([job.id.job_id]))[job.id.job_id]
    assert read.status.start_time is not None
    assert read.status.start_time > freed


async def test_ready_queues_are_named(store: Store) -> None:
    await create(store, queue="a")
    await create(store, queue="b")
    assert await store.claims.ready(["c", "b", "a"]) == ["b", "a"]
    assert await store.claims.ready([]) == []
