"""list_jobs.sql and estimate_jobs.sql: what they find, and how much they read for it."""

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg

from jobsvc.domain.job import Job, JobState
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.job_id import first_job_id, new_job_id
from jobsvc.domain.owner import Owner
from jobsvc.store.job_lists import JobListStore
from jobsvc.store.store import Store
from tests.store.support.many_jobs import fill_jobs
from tests.store.support.samples import create, new_job

START = datetime(2026, 1, 1, tzinfo=UTC)
USERS = ["", "ann", "bob"]
SESSIONS = [None, b"1", b"2"]
OWNERS = [Owner(s, u, h) for s, u, h in itertools.product(["", "web"], USERS, SESSIONS)]
#: Among them sessions that were hashed with another key before.
CALLERS = OWNERS + [
    Owner(s, u, b"2", former_session_hashes=(b"1", b"0"))
    for s, u in itertools.product(["", "web"], USERS)
]
LABELS: list[dict[str, str]] = [{}, {"a": "1"}, {"a": "1", "b": "2"}, {"a": "2"}]

_LEASE = """
    INSERT INTO lease (
        job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
        worker_id, start_time, duration, until, deadline)
    SELECT job_id, 1, queue, 0, 1, 0, 2, now(), false, 'w', now(), 30, now(), now()
    FROM waiting WHERE job_id = $1
"""
_RESULT = """
    INSERT INTO result (
        job_id, state, attempt, version, worker_id, end_time, purge_time, progress_message,
        emptied_time)
    SELECT job_id, $2, 1, 3, 'w', now(), now(), '', CASE WHEN $3 THEN now() END
    FROM waiting WHERE job_id = $1
"""


def id_at(moment: datetime) -> str:
    """An id made at that time."""
    return first_job_id(moment)[:13] + new_job_id()[13:]


async def create_at(store: Store, sql: asyncpg.Connection, moment: datetime, **job: object) -> str:
    """A job that was created at that time."""
    job_id = await create(store, **({"id": id_at(moment)} | job))
    await sql.execute("UPDATE job SET create_time = $2 WHERE id = $1", job_id, moment)
    return job_id


async def enter(
    sql: asyncpg.Connection, job_id: str, state: JobState, emptied: bool = False
) -> None:
    """Moves a waiting job into the table of a state."""
    if state is JobState.PENDING:
        return
    if state is JobState.PROCESSING:
        await sql.execute(_LEASE, job_id)
    else:
        await sql.execute(_RESULT, job_id, state.value, emptied)
    await sql.execute("DELETE FROM waiting WHERE job_id = $1", job_id)


async def populate(store: Store, sql: asyncpg.Connection) -> list[Job]:
    """Jobs of every owner in every state, a minute apart; those that readers find, newest first."""
    cases = itertools.product(OWNERS, [*JobState, None])
    for number, (owner, state) in enumerate(cases):
        job_id = await create_at(
            store,
            sql,
            START + timedelta(minutes=number),
            owner=owner,
            queue=f"q{number % 5 % 2}",
            labels=LABELS[number % 4],
        )
        await enter(sql, job_id, state or JobState.FAILED, emptied=state is None)
    ids = [str(row["id"]) for row in await sql.fetch("SELECT id FROM job ORDER BY id DESC")]
    jobs = await store.jobs.read(ids)
    assert len(ids) - len(jobs) == len(OWNERS), "emptied jobs"
    return [jobs[job_id] for job_id in ids if job_id in jobs]


async def listed(
    lists: JobListStore, wanted: JobFilter, caller: Owner, most: int = 1000
) -> tuple[list[str], int]:
    """All jobs that are found, over as many pages as it takes."""
    found: list[str] = []
    before, pages = None, 0
    while True:
        walk = await lists.walk(wanted, caller, before, most)
        assert len(walk.found) <= most
        found += [job.job_id for job in walk.found]
        before, pages = walk.next_before, pages + 1
        if before is None:
            return found, pages


def some_cases(count: int) -> Sequence[tuple[JobFilter, Owner]]:
    """Filters and callers of every kind, the same in every run."""
    hour = timedelta(hours=1)
    filters = itertools.product(
        [frozenset[str](), frozenset({"q0"}), frozenset({"q0", "q1"}), frozenset({"unknown"})],
        [frozenset(c) for n in range(3) for c in itertools.combinations(JobState, n)],
        LABELS,
        [False, True],
        [False, True],
        [None, START, START + hour],
        [None, START + hour, START + 2 * hour],
    )
    # The API refuses an own_session without a session, and an own_user without a user.
    cases = [
        (wanted, caller)
        for wanted in (JobFilter(*f) for f in filters)
        for caller in CALLERS
        if (caller.session_hash or not wanted.own_session)
        and (caller.user_id or not wanted.own_user)
    ]
    return random.Random(15).sample(cases, count)


async def test_statements_select_what_the_rule_selects(
    store: Store, sql: asyncpg.Connection
) -> None:
    jobs = await populate(store, sql)
    # Pages and walks of all sizes, all of which must come to the same.
    sizes = itertools.cycle([(1000, 1000), (1, 3), (7, 1000), (1000, 10)])
    found_any = 0
    for (wanted, caller), (most, candidates) in zip(some_cases(600), sizes, strict=False):
        expected = [job.id for job in jobs if wanted.matches(job, caller)]
        lists = JobListStore(store.database, candidates)
        found, _ = await listed(lists, wanted, caller, most)
        assert found == expected, (wanted, caller)
        # So small a table is its own sample.
        assert await lists.estimate(wanted, caller) == len(expected), (wanted, caller)
        found_any += bool(expected)
    assert found_any > 100


async def test_caller_finds_what_it_may_read_and_nothing_else(
    store: Store, sql: asyncpg.Connection
) -> None:
    jobs = await populate(store, sql)
    for caller in CALLERS:
        found, _ = await listed(store.job_lists, JobFilter(), caller)
        assert found == [job.id for job in jobs if caller.owns(job.owner)]


async def test_job_is_found_by_its_time_although_the_clock_of_its_replica_is_wrong(
    store: Store, sql: asyncpg.Connection
) -> None:
    late = await create_at(store, sql, START, id=id_at(START + timedelta(seconds=59)))
    early = await create_at(store, sql, START, id=id_at(START - timedelta(seconds=59)))
    exactly = JobFilter(create_time_from=START, create_time_until=START + timedelta(microseconds=1))
    assert (await listed(store.job_lists, exactly, Owner()))[0] == [late, early]
    before = JobFilter(create_time_until=START)
    assert (await listed(store.job_lists, before, Owner()))[0] == []


async def test_times_bound_the_walk(store: Store, sql: asyncpg.Connection) -> None:
    for minutes in range(0, 100, 5):
        await create_at(store, sql, START + timedelta(minutes=minutes))
    wanted = JobFilter(
        create_time_from=START + timedelta(minutes=50),
        create_time_until=START + timedelta(minutes=60),
    )
    # One page of 5 candidates: the two jobs, and what a wrong clock may have put nearby.
    found, pages = await listed(JobListStore(store.database, 5), wanted, Owner())
    assert (len(found), pages) == (2, 1)


async def test_page_looks_at_a_limited_number_of_jobs(
    store: Store, sql: asyncpg.Connection
) -> None:
    wanted = [await create(store, queue="rare")]
    for _ in range(25):
        await create(store)
    lists, rare = JobListStore(store.database, 10), JobFilter(frozenset({"rare"}))
    for _ in range(2):
        assert (await lists.walk(rare, Owner(), None, 50)).found == []
    assert await listed(lists, rare, Owner()) == (wanted, 3)


async def test_few_jobs_among_many_are_found_at_once(store: Store, sql: asyncpg.Connection) -> None:
    """Jobs of a user, of a session, and in a state that few have: no others are looked at."""
    ann, mine = Owner(user_id="ann"), Owner(session_hash=b"1")
    for owner in (ann, mine):
        await create(store, owner=owner)
    for state in set(JobState) - {JobState.COMPLETED}:
        await enter(sql, await create(store), state)
    for _ in range(40):
        await enter(sql, await create(store), JobState.COMPLETED)
    lists = JobListStore(store.database, 10)
    few = [(JobFilter(own_user=True), ann), (JobFilter(own_session=True), mine)]
    for state in (JobState.PROCESSING, JobState.FAILED, JobState.CANCELLED):
        few.append((JobFilter(states=frozenset({state})), Owner()))
    for wanted, caller in few:
        found, pages = await listed(lists, wanted, caller)
        assert (len(found), pages) == (1, 1), wanted


async def test_jobs_of_a_session_under_two_keys_are_one_list(store: Store) -> None:
    caller = Owner(session_hash=b"2", former_session_hashes=(b"1",))
    hashes = [b"1", b"2", b"3", b"2", b"1", b"1"]
    ids = [await create(store, owner=Owner(session_hash=h)) for h in hashes]
    mine = [job_id for job_id, h in zip(ids, hashes, strict=True) if h != b"3"][::-1]
    wanted = JobFilter(own_session=True)
    for most, candidates in ((10, 10), (2, 10), (2, 2), (1, 3)):
        lists = JobListStore(store.database, candidates)
        assert (await listed(lists, wanted, caller, most))[0] == mine


async def test_page_of_all_that_is_left_is_the_last(store: Store) -> None:
    ids = [await create(store) for _ in range(4)]
    assert await listed(store.job_lists, JobFilter(), Owner(), most=2) == (ids[::-1], 2)


async def test_payloads_are_measured_when_asked_for(store: Store, sql: asyncpg.Connection) -> None:
    job_id = await create(store, input='{"a":1}')
    await enter(sql, job_id, JobState.COMPLETED)
    await sql.execute("UPDATE result SET output = '{\"bb\":22}'")
    (job,) = (await store.job_lists.walk(JobFilter(), Owner(), None, 1, True)).found
    assert job == (job_id, 7 + 9)
    (job,) = (await store.job_lists.walk(JobFilter(), Owner(), None, 1)).found
    assert job == (job_id, 0)


async def test_large_tables_are_estimated_from_a_part_of_them(
    store: Store, sql: asyncpg.Connection
) -> None:
    await fill_jobs(sql, queues=2)
    half = JobFilter(frozenset({"q1"}))
    first = await store.job_lists.estimate(half, Owner())
    assert 8500 < first < 11_500
    assert await store.job_lists.estimate(half, Owner()) == first, "it does not flicker"


async def test_new_job_is_listed_as_it_was_asked_for(store: Store) -> None:
    job = new_job(labels={"a": "1"}, owner=Owner(user_id="ann"))
    await store.queues.declare(["q"])
    await store.jobs.create(job)
    wanted = JobFilter(labels={"a": "1"}, own_user=True)
    assert (await listed(store.job_lists, wanted, Owner(user_id="ann")))[0] == [job.id]
