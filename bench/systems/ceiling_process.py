"""The ceiling: the statements of the design by hand, without gRPC, from one lean process.

`python -m bench.systems.ceiling_process DSN create|drain|life-cycle JOBS`, driven over its
standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from collections.abc import Sequence

from bench.measure.fill import CONNECTIONS, batch_sizes, create, fill, new_ids, share_out
from bench.measure.protocol import send_result, wait_for_start
from bench.measure.workload import QUEUE
from jobsvc.domain.job import JobState
from jobsvc.settings import Settings
from jobsvc.store.columns import words
from jobsvc.store.database import Database, open_database
from jobsvc.store.migrate import migrate

_SETTINGS = Settings()


async def _measure(dsn: str, operation: str, jobs: int) -> None:
    await migrate(dsn)
    if operation == "drain":
        await fill(dsn, jobs)
    async with open_database(dsn, CONNECTIONS, statement_seconds=30) as database:
        await database.fetch("declare_queues", [QUEUE])
        batches = [new_ids(size) for size in batch_sizes(jobs)]
        step = {"create": create, "drain": _drain, "life-cycle": _create_and_drain}[operation]
        await wait_for_start()
        began = time.perf_counter()
        await share_out(batches, lambda ids: step(database, ids))
        await send_result({"seconds": time.perf_counter() - began})


async def _create_and_drain(database: Database, ids: Sequence[str]) -> None:
    await create(database, ids)
    await _drain(database, ids)


async def _drain(database: Database, ids: Sequence[str]) -> None:
    """Leases and ends as many jobs as there are `ids`, whichever come next."""
    left = len(ids)
    while left:
        # Fewer than asked for when another connection is about to take the next ones.
        left -= await _lease_and_finish(database, left)


async def _lease_and_finish(database: Database, max_jobs: int) -> int:
    rows = await database.fetch(
        "lease_jobs",
        QUEUE,
        max_jobs,
        ["ceiling"],
        [1],
        [_SETTINGS.lease_seconds],
        None,  # rank to begin at
        None,  # run_at to begin at
        secrets.token_bytes(8 * max_jobs),
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
        (),  # percent of the progress
        (),  # its message
        [],  # jobs whose status is wanted
    )
    return len(leased)


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.systems.ceiling_process")
    parser.add_argument("dsn")
    parser.add_argument("operation", choices=("create", "drain", "life-cycle"))
    parser.add_argument("jobs", type=int)
    chosen = parser.parse_args()
    asyncio.run(_measure(chosen.dsn, chosen.operation, chosen.jobs))


if __name__ == "__main__":
    main()
