"""Fills a queue by the service's own statement, without a server: faster, and leaves no trace in
the server that is measured later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from bench.measure.workload import BATCH, INPUT, QUEUE
from jobsvc.domain.job_id import new_job_id
from jobsvc.settings import Settings
from jobsvc.store.columns import documents, words
from jobsvc.store.database import Database, open_database
from jobsvc.store.migrate import migrate

#: Statements under way at a time: enough to keep two cores busy.
CONNECTIONS = 3
_SETTINGS = Settings()

Item = TypeVar("Item")


async def fill(dsn: str, jobs: int) -> None:
    """Makes the schema and puts jobs into the queue as the service would."""
    await migrate(dsn)
    async with open_database(dsn, CONNECTIONS, statement_seconds=30) as database:
        await database.fetch("declare_queues", [QUEUE])
        await share_out(batch_sizes(jobs), lambda size: create(database, new_ids(size)))


async def share_out(items: Sequence[Item], step: Callable[[Item], Awaitable[None]]) -> None:
    """Awaits `step` for each item, one item a connection at a time."""

    async def take(left: Iterator[Item]) -> None:
        for item in left:
            await step(item)

    left = iter(items)
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(take(left))


def batch_sizes(jobs: int) -> list[int]:
    """The sizes of the batches that add up to `jobs`."""
    return [min(BATCH, jobs - start) for start in range(0, jobs, BATCH)]


def new_ids(size: int) -> list[str]:
    """New job ids, in order."""
    return sorted(new_job_id() for _ in range(size))


async def create(database: Database, ids: Sequence[str]) -> None:
    """Creates jobs with these ids."""
    nothing: tuple[()] = ()
    await database.fetch(
        "create_jobs",
        words(ids),
        [QUEUE],
        nothing,  # schedule_time
        nothing,  # expire_time
        nothing,  # ttl
        [0],  # priority
        nothing,  # output_schema_id
        [""],  # owner_service
        [""],  # owner_user
        nothing,  # owner_session
        nothing,  # request_id
        nothing,  # request_digest
        nothing,  # unique_key
        None,  # labels
        [""],  # traceparent
        [""],  # tracestate
        documents([INPUT] * len(ids)),
        nothing,  # schedule_delay
        [_SETTINGS.max_attempts],
        [_SETTINGS.initial_backoff_seconds],
        [_SETTINGS.max_backoff_seconds],
        [_SETTINGS.backoff_multiplier],
        [_SETTINGS.attempt_timeout_seconds],
        nothing,  # retention
        nothing,  # start_within
        nothing,  # services whose waiting jobs are counted
    )
