"""Notices of requested cancellations, for the workers of a replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jobsvc.dispatch.cancel_notices import CancelNotices
from jobsvc.dispatch.connected_worker import CancelRequested, ConnectedWorker
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import LeasedJob
from jobsvc.store.store import Store
from tests.store.support.samples import create, lease
from tests.support.probe import eventually
from tests.support.samples import seen_worker


@pytest.fixture
def worker() -> ConnectedWorker:
    return ConnectedWorker(Subscription("w", {"q": 0}, 10), seen_worker())


@asynccontextmanager
async def noticing(store: Store, *workers: ConnectedWorker) -> AsyncIterator[CancelNotices]:
    notices = CancelNotices(store.leases, lambda: workers)
    running = asyncio.ensure_future(notices.run())
    yield notices
    running.cancel()
    await asyncio.wait([running])


async def cancelled_job(store: Store) -> LeasedJob:
    await create(store)
    (job,) = await lease(store, 1)
    assert await store.job_control.cancel(job.id.job_id, None, "why", 60.0, 30.0) == job.id
    return job


async def test_only_the_worker_that_holds_the_job_is_told_and_why(
    store: Store, worker: ConnectedWorker
) -> None:
    job, other = await cancelled_job(store), ConnectedWorker(worker.subscription, worker.info)
    worker.deal([job], now=0.0)
    async with noticing(store, other, worker) as notices:
        notices.add([job.id])
        (notice,) = await eventually(lambda: worker.notices)
    assert isinstance(notice, CancelRequested)
    assert notice.leases[job.id].cancel_reason == "why"
    assert 0 < notice.leases[job.id].expires_in_seconds <= 30
    assert other.notices == []


async def test_job_that_is_dealt_after_the_hint_is_found_all_the_same(
    store: Store, worker: ConnectedWorker
) -> None:
    job = await cancelled_job(store)
    async with noticing(store, worker) as notices:
        notices.add([job.id])
        worker.deal([job], now=0.0)
        (notice,) = await eventually(lambda: worker.notices)
    assert isinstance(notice, CancelRequested)


async def test_lease_whose_job_is_not_to_be_cancelled_is_passed_over(
    store: Store, worker: ConnectedWorker
) -> None:
    told = await cancelled_job(store)
    await create(store)
    (kept,) = await lease(store, 1)
    worker.deal([kept, told], now=0.0)
    async with noticing(store, worker) as notices:
        notices.add([kept.id, told.id])
        (notice,) = await eventually(lambda: worker.notices)
    assert isinstance(notice, CancelRequested)
    assert list(notice.leases) == [told.id]
