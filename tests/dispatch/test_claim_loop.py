"""A claim from its plan to its end, on a real database."""

import asyncio

import asyncpg
import pytest

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.retirement import Retirement
from jobsvc.dispatch.subscription import Subscription
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from tests.dispatch.support.running import running
from tests.store.support.samples import create, until_blocked
from tests.support.samples import seen_worker


def connected(window: int = 10) -> ConnectedWorker:
    return ConnectedWorker(Subscription("w", {"q": 0}, window), seen_worker())


async def test_jobs_are_dealt_within_the_window_and_the_rest_when_there_is_capacity(
    store: Store, dispatcher: Dispatcher
) -> None:
    ids = [await create(store) for _ in range(3)]
    worker = connected(window=2)
    async with running(dispatcher):
        dispatcher.join(worker)
        await worker.changed.wait()
        first = worker.take(9)
        assert [job.id.job_id for job in first] == ids[:2]
        assert (worker.subscription.held, worker.subscription.reserved) == (2, 0)
        worker.changed.clear()
        dispatcher.leases_ended([first[0].id], worker)
        await worker.changed.wait()
        assert [job.id.job_id for job in worker.take(9)] == ids[2:]
        assert worker.subscription.held == 2


@pytest.mark.parametrize("way", ["drains", "leaves", "retires"])
async def test_jobs_for_a_worker_that_goes_during_the_claim_go_back_uncounted(
    store: Store,
    hints: Hints,
    dispatcher: Dispatcher,
    redelivery: Redelivery,
    retirement: Retirement,
    sql: asyncpg.Connection,
    way: str,
) -> None:
    await create(store)
    worker = connected()
    claimed = asyncio.Event()
    hints.listen(lambda _: claimed.set())
    async with running(dispatcher):
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
            dispatcher.join(worker)
            await until_blocked(sql)
            match way:
                case "drains":
                    dispatcher.drain()
                case "leaves":
                    dispatcher.leave(worker)
                case "retires":
                    # Committed at once, unlike this transaction.
                    await store.workers.save([worker.seen()])
                    await retirement.drain(worker.worker_id, "")
        await claimed.wait()
        await dispatcher.until_idle()
    assert (worker.undelivered, worker.leases, worker.subscription.reserved) == ([], {}, 0)
    await redelivery.flush()
    rows = await sql.fetch("SELECT attempt, redeliveries FROM waiting")
    assert [tuple(row) for row in rows] == [(0, 0)]


async def test_queue_that_is_removed_brings_nothing_and_blocks_nothing(
    store: Store, dispatcher: Dispatcher, sql: asyncpg.Connection
) -> None:
    job_id = await create(store)
    other = ConnectedWorker(Subscription("w", {"gone": 0, "q": 0}, 1), seen_worker())
    async with running(dispatcher):
        dispatcher.join(other)
        await other.changed.wait()
    assert [job.id.job_id for job in other.undelivered] == [job_id]
    assert other.subscription.reserved == 0
