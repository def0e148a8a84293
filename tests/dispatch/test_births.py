"""New jobs in the hands of a worker after one statement, and what becomes of those that no worker
can be given after all. On a real database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from opentelemetry import trace

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.retirement import Retirement
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.created_job import Created
from jobsvc.domain.job import NewJob
from jobsvc.domain.job_request import JobRequest, RequestedOptions
from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.jobs.create import Creation
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.jobs import BornLeased
from jobsvc.store.store import Store
from tests.dispatch.support.running import running
from tests.store.support.samples import new_job, until_blocked
from tests.support.probe import eventually
from tests.support.samples import seen_worker

_REQUESTED = RequestedOptions("q", 0, None, None, None, RunPolicy(), fail_if_taken=False, labels={})


@pytest.fixture
async def worker(
    store: Store, dispatcher: Dispatcher, sql: asyncpg.Connection
) -> AsyncIterator[ConnectedWorker]:
    """An idle worker with a window of four, for which nothing is being claimed any more."""
    await store.queues.declare(["q"])
    store.jobs.write_by(dispatcher.births.write)
    async with running(dispatcher):
        yield await join(dispatcher)


async def join(dispatcher: Dispatcher, worker_id: str = "w") -> ConnectedWorker:
    subscription = Subscription(worker_id, {"q": 0}, 4, 30.0)
    worker = ConnectedWorker(subscription, seen_worker())
    dispatcher.join(worker)
    # The claim that looks for its first jobs is over.
    await eventually(lambda: dispatcher.births.is_idle("q") and not subscription.reserved)
    return worker


async def count(sql: asyncpg.Connection) -> tuple[int, int]:
    """How many jobs wait, and how many are leased."""
    row = await sql.fetchrow("SELECT (SELECT count(*) FROM waiting), (SELECT count(*) FROM lease)")
    return row[0], row[1]


async def test_job_is_dealt_before_its_creation_is_answered(
    store: Store, worker: ConnectedWorker, sql: asyncpg.Connection
) -> None:
    job = new_job(input='{"a": 1}')
    written = await store.jobs.create(job)
    assert isinstance(written, BornLeased)
    (dealt,) = worker.take(9)
    assert (dealt.id.job_id, dealt.input, dealt.create_time) == (
        job.id,
        '{"a": 1}',
        written.create_time,
    )
    assert dealt.id in worker.leases
    assert (worker.subscription.held, worker.subscription.reserved) == (1, 0)
    assert await store.leases.current([dealt.id]) == {dealt.id}
    assert await count(sql) == (0, 1)


async def test_followers_hear_of_the_lease(
    store: Store, worker: ConnectedWorker, hints: Hints
) -> None:
    heard: list[str] = []
    hints.listen(lambda hint: heard.extend(hint.job_ids))
    job = new_job()
    await store.jobs.create(job)
    assert heard == [job.id]


async def test_queue_of_a_job_that_is_born_leased_is_not_searched(
    store: Store, worker: ConnectedWorker, hints: Hints, sql: asyncpg.Connection
) -> None:
    """Its place is filled, and whoever looked for another job would find none."""
    told: list[str] = []
    hints.listen(lambda hint: told.extend(hint.ready))
    tracer = trace.get_tracer("test")
    catalog, settings = Catalog(store.queues), Settings()
    creation = Creation(store, catalog, hints, lambda *_: None, settings, tracer)
    request = JobRequest(_REQUESTED, None, {})
    results = [await creation.create(request, Owner()) for _ in range(2)]
    assert [isinstance(result, Created) and result.leased for result in results] == [True, True]
    assert told == []
    await creation.create(request, Owner())
    assert await count(sql) == (1, 2), "half of the window is left to claims"
    assert told == ["q"]


@pytest.mark.parametrize(
    "options",
    [
        {"schedule_time": datetime.now(UTC) + timedelta(hours=1)},
        {"schedule_delay_seconds": 3600.0},
        {"unique_key": "k"},
        {"queue": "other"},
        {"input": f'"{"x" * 20_000}"'},
    ],
)
async def test_job_that_may_not_be_born_leased_waits(
    store: Store, worker: ConnectedWorker, sql: asyncpg.Connection, options: dict[str, Any]
) -> None:
    await store.queues.declare(["other"])
    assert isinstance(await store.jobs.create(new_job(**options)), datetime)
    assert await count(sql) == (1, 0)
    assert (worker.subscription.held, worker.subscription.reserved) == (0, 0)


async def test_paused_queue_keeps_its_jobs_and_nobody_is_charged_for_them(
    store: Store, worker: ConnectedWorker, sql: asyncpg.Connection
) -> None:
    await sql.execute("UPDATE queue SET paused = true")
    assert isinstance(await store.jobs.create(new_job()), datetime)
    assert await count(sql) == (1, 0)
    assert (worker.subscription.held, worker.subscription.reserved) == (0, 0)


async def test_worker_without_a_window_gets_nothing(
    store: Store, worker: ConnectedWorker, dispatcher: Dispatcher, sql: asyncpg.Connection
) -> None:
    dispatcher.set_window(worker, 0)
    assert isinstance(await store.jobs.create(new_job()), datetime)
    assert await count(sql) == (1, 0)


async def test_most_urgent_jobs_of_a_commit_are_born_leased(
    store: Store, worker: ConnectedWorker, sql: asyncpg.Connection
) -> None:
    jobs = [new_job(priority=n) for n in (0, 3, 1, 3, 2)]
    written = await store.jobs.create_each(jobs)
    assert [isinstance(one, BornLeased) for one in written] == [False, True, False, True, False]
    assert [job.id.job_id for job in worker.take(9)][:2] == [jobs[1].id, jobs[3].id]


async def test_repeated_request_leaves_its_slot_free(
    store: Store, worker: ConnectedWorker, sql: asyncpg.Connection
) -> None:
    first = new_job(request_id="6f1ad3a0-3c42-4a6b-9a07-2f9d1c0a7b55")
    again = new_job(request_id="6f1ad3a0-3c42-4a6b-9a07-2f9d1c0a7b55")
    assert await store.jobs.create(first)
    other = new_job()
    worker.subscription.window = 8
    none, one = await store.jobs.create_each([again, other])
    assert none is None
    assert isinstance(one, BornLeased)
    assert [job.id.job_id for job in worker.take(9)] == [first.id, other.id]
    assert (worker.subscription.held, worker.subscription.reserved) == (2, 0)


async def test_slot_that_stays_free_is_the_one_whose_job_was_not_written(
    store: Store, dispatcher: Dispatcher, worker: ConnectedWorker
) -> None:
    other = await join(dispatcher, worker_id="v")
    request_id = "6f1ad3a0-3c42-4a6b-9a07-2f9d1c0a7b55"
    assert await store.jobs.create(new_job(request_id=request_id))
    none, one = await store.jobs.create_each([new_job(request_id=request_id), new_job()])
    assert none is None
    assert isinstance(one, BornLeased)
    for each in (worker, other):
        assert (each.subscription.held, each.subscription.reserved) == (len(each.leases), 0)
        assert {terms.worker_id for terms in each.leases.values()} <= {each.worker_id}


@pytest.mark.parametrize("way", ["drains", "leaves", "retires"])
async def test_job_for_a_worker_that_goes_meanwhile_goes_back_uncounted(
    store: Store,
    dispatcher: Dispatcher,
    redelivery: Redelivery,
    retirement: Retirement,
    worker: ConnectedWorker,
    sql: asyncpg.Connection,
    way: str,
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
        creation = asyncio.ensure_future(store.jobs.create(new_job()))
        await until_blocked(sql)
        match way:
            case "drains":
                dispatcher.drain()
            case "leaves":
                dispatcher.leave(worker)
            case "retires":
                await store.workers.save([worker.seen()])
                await retirement.drain(worker.worker_id, "")
    assert isinstance(await creation, BornLeased)
    await dispatcher.until_idle()
    assert (worker.undelivered, worker.leases, worker.subscription.reserved) == ([], {}, 0)
    await redelivery.flush()
    rows = await sql.fetch("SELECT attempt, redeliveries FROM waiting")
    assert [tuple(row) for row in rows] == [(0, 0)]


async def test_job_whose_caller_is_gone_is_dealt(
    store: Store, worker: ConnectedWorker, sql: asyncpg.Connection
) -> None:
    job = new_job()
    async with sql.transaction():
        await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
        creation = asyncio.ensure_future(store.jobs.create(job))
        await until_blocked(sql)
        creation.cancel()
    await worker.changed.wait()
    assert [dealt.id.job_id for dealt in worker.take(9)] == [job.id]
    assert (worker.subscription.held, worker.subscription.reserved) == (1, 0)


async def test_job_that_cannot_be_written_reserves_nothing_and_harms_no_other(
    store: Store, worker: ConnectedWorker
) -> None:
    bad, good = new_job(priority=101), new_job()
    refused, written = await store.jobs.creates.submit([bad, good])
    assert isinstance(refused, Exception)
    assert isinstance(written, BornLeased)
    assert [job.id.job_id for job in worker.take(9)] == [good.id]
    assert (worker.subscription.held, worker.subscription.reserved) == (1, 0)
    assert worker.subscription.reserved_size == 0


async def test_windows_are_kept_and_no_job_is_lost_when_many_are_created(
    store: Store, dispatcher: Dispatcher, worker: ConnectedWorker, sql: asyncpg.Connection
) -> None:
    """Born leased and claimed by turns, whatever comes: each job reaches the worker once."""
    dispatcher_jobs: list[NewJob] = [new_job() for _ in range(200)]
    got: list[str] = []

    async def create() -> None:
        for start in range(0, 200, 3):
            written = await store.jobs.create_each(dispatcher_jobs[start : start + 3])
            # As `Creation` does.
            if any(isinstance(one, datetime) for one in written):
                dispatcher.wake(["q"])

    async def work() -> None:
        while len(got) < 200:
            await worker.changed.wait()
            worker.changed.clear()
            jobs = worker.take(9)
            assert len(worker.leases) <= 4
            got.extend(job.id.job_id for job in jobs)
            await sql.executemany(
                "DELETE FROM lease WHERE job_id = $1", [(job.id.job_id,) for job in jobs]
            )
            dispatcher.leases_ended([job.id for job in jobs], worker)

    await asyncio.gather(create(), work())
    assert sorted(got) == sorted(job.id for job in dispatcher_jobs)
    assert await count(sql) == (0, 0)
    assert (worker.subscription.held, worker.subscription.reserved) == (0, 0)
