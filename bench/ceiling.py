"""The ceiling: the statements of the design by hand, without gRPC, from one lean process.

`python -m bench.ceiling DSN create|drain|life-cycle JOBS`, driven over its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from bench.turn import answer, wait_for_turn
from bench.work_load import BATCH, INPUT
from jobsvc.domain.job import JobState
from jobsvc.domain.job_id import new_job_id
from jobsvc.settings import Settings
from jobsvc.store.columns import documents, words
from jobsvc.store.database import Database, open_database
from jobsvc.store.migrate import migrate

#: Statements under way at a time: enough to keep two cores busy.
_CONNECTIONS = 3
QUEUE = "noop"
_SETTINGS = Settings()

Item = TypeVar("Item")


async def fill(dsn: str, jobs: int, queue: str = QUEUE) -> None:
    """Makes the schema and puts jobs into a queue as the service would."""
    await migrate(dsn)
    async with open_database(dsn, _CONNECTIONS, statement_seconds=30) as database:
        await database.fetch("declare_queues", [queue])
        await _shared(iter(_batches(jobs)), lambda size: _create(database, _ids(size), queue))


async def _measure(dsn: str, what: str, jobs: int) -> None:
    await migrate(dsn)
    if what == "drain":
        await fill(dsn, jobs)
    async with open_database(dsn, _CONNECTIONS, statement_seconds=30) as database:
        await database.fetch("declare_queues", [QUEUE])
        work = [_ids(size) for size in _batches(jobs)]
        step = {"create": _create, "drain": _drain, "life-cycle": _live}[what]
        await wait_for_turn()
        began = time.perf_counter()
        await _shared(iter(work), lambda ids: step(database, ids))
        await answer({"seconds": time.perf_counter() - began})


async def _shared(items: Iterator[Item], step: Callable[[Item], Awaitable[None]]) -> None:
    """Takes the items one after another, on each connection."""

    async def take() -> None:
        for item in items:
            await step(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(take())


def _batches(jobs: int) -> list[int]:
    return [min(BATCH, jobs - start) for start in range(0, jobs, BATCH)]


def _ids(size: int) -> list[str]:
    return sorted(new_job_id() for _ in range(size))


async def _live(database: Database, ids: Sequence[str]) -> None:
    await _create(database, ids)
    await _drain(database, ids)


async def _create(database: Database, ids: Sequence[str], queue: str = QUEUE) -> None:
    nothing: tuple[()] = ()
    await database.fetch(
        "create_jobs",
        words(ids),
        [queue],
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
        [_SETTINGS.max_attempts],
        [_SETTINGS.initial_backoff_seconds],
        [_SETTINGS.max_backoff_seconds],
        [_SETTINGS.backoff_multiplier],
        [_SETTINGS.attempt_timeout_seconds],
        nothing,  # retention
        nothing,  # start_within
    )


async def _drain(database: Database, ids: Sequence[str]) -> None:
    """Leases and ends as many jobs as there are `ids`, whichever come next."""
    left = len(ids)
    while left:
        # Less than asked for when others are about to take what comes next.
        left -= await _lease_and_finish(database, left)


async def _lease_and_finish(database: Database, most: int) -> int:
    rows = await database.fetch(
        "lease_jobs", QUEUE, most, ["ceiling"], [1], [_SETTINGS.lease_seconds], None, None
    )
    leased = sorted(lease_id for row in rows for lease_id in row["lease_ids"].split(" "))
    if not leased:
        return 0
    await database.fetch(
        "finish_jobs",
        words(leased),
        (),  # until
        [int(JobState.COMPLETED)],
        [_SETTINGS.retention_seconds],
        None,  # error
        None,  # output
    )
    return len(leased)


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.ceiling")
    parser.add_argument("dsn")
    parser.add_argument("what", choices=("create", "drain", "life-cycle"))
    parser.add_argument("jobs", type=int)
    chosen = parser.parse_args()
    asyncio.run(_measure(chosen.dsn, chosen.what, chosen.jobs))


if __name__ == "__main__":
    main()
