"""Duties that an operator may run, as a server does: until nothing is left, or on trial."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from jobsvc.settings import Settings
from jobsvc.store.database import Connection
from jobsvc.store.store import Store
from jobsvc.upkeep.expire import MAX_JOBS as MAX_EXPIRED
from jobsvc.upkeep.prune import MAX_JOBS as MAX_PRUNED
from jobsvc.upkeep.prune import MAX_OLD_JOBS

#: Others that use the database come in between.
_PAUSE_SECONDS = 0.05

_Batch = Callable[[Store, Settings, Connection], Awaitable[int]]


class HandDuty(NamedTuple):
    """A duty: what it does, and one batch of it; None where only a server may do it."""

    what: str
    run_batch: _Batch | None = None


class Result(NamedTuple):
    """What was done, or would be."""

    number: int
    #: Whether nothing is left; a trial ends after a batch.
    is_all: bool


class _TakenBack(Exception):
    """Ends a transaction of which nothing must remain."""


async def _expire(store: Store, settings: Settings, connection: Connection) -> int:
    seconds = settings.failed_retention_seconds
    return len(await store.upkeep.expire(MAX_EXPIRED, seconds, connection))


async def _prune(store: Store, settings: Settings, connection: Connection) -> int:
    return await store.upkeep.prune(MAX_PRUNED, settings.request_id_seconds, connection)


async def _prune_bulk_operations(store: Store, _: Settings, connection: Connection) -> int:
    return await store.bulk_operations.prune(MAX_PRUNED, connection)


async def _prune_audit(store: Store, settings: Settings, connection: Connection) -> int:
    return await store.audit.prune(MAX_PRUNED, settings.audit_retention_seconds, connection)


async def _prune_history(store: Store, _: Settings, connection: Connection) -> int:
    return await store.queue_history.prune(MAX_PRUNED, connection)


async def _prune_schemas(store: Store, _: Settings, connection: Connection) -> int:
    return await store.upkeep.prune_schemas(MAX_OLD_JOBS, connection)


#: By name.
DUTIES = {
    "rescue": HandDuty(
        "ends leases that have run out; only a server may, which workers could report to before"
    ),
    "expire": HandDuty("fails waiting jobs that have expired or not begun in time", _expire),
    "prune": HandDuty("removes ended jobs whose retention is over", _prune),
    "prune-bulk-operations": HandDuty(
        "removes bulk operations whose retention is over", _prune_bulk_operations
    ),
    "prune-audit": HandDuty("removes entries of the audit whose retention is over", _prune_audit),
    "prune-history": HandDuty(
        "removes what became of jobs, by queue and minute, after a day", _prune_history
    ),
    "prune-schemas": HandDuty("removes schemas that no queue and no job has", _prune_schemas),
    "remove-queues": HandDuty(
        "goes on with forced removals of queues whose caller has left; by hand:"
        " jobsvc queues delete --force"
    ),
    "depths": HandDuty("writes once a minute how many jobs of each queue wait and run"),
    "vacuum": HandDuty(
        "vacuums lease and waiting once they have many dead rows; by hand: VACUUM, in psql"
    ),
    "trim": HandDuty("gives memory of the server back to the system"),
}


async def run(store: Store, settings: Settings, run_batch: _Batch, dry_run: bool) -> Result:
    """Runs batches until nothing is left. With `dry_run` it runs one, and takes it back.

    Raises:
        DatabaseUnavailable: a batch failed; those before it stay.
    """
    total = 0
    while True:
        count = await _run_batch(store, settings, run_batch, dry_run)
        total += count
        if dry_run or not count:
            return Result(total, not count)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _run_batch(store: Store, settings: Settings, run_batch: _Batch, dry_run: bool) -> int:
    count = 0
    try:
        async with store.database.transaction("upkeep by hand") as connection:
            count = await run_batch(store, settings, connection)
            if dry_run:
                raise _TakenBack
    except _TakenBack:
        pass
    return count
