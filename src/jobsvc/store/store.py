"""The store: all statements on one database, and the batchers that run them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from jobsvc.settings import SCHEMA
from jobsvc.store.audit import AuditStore
from jobsvc.store.batch import Batcher
from jobsvc.store.bulk_operations import BulkOperationStore
from jobsvc.store.changes import ChangeStore
from jobsvc.store.claims import ClaimStore
from jobsvc.store.credentials import CredentialStore
from jobsvc.store.database import Database, open_database
from jobsvc.store.job_control import JobControlStore
from jobsvc.store.job_lists import MAX_CANDIDATES, JobListStore
from jobsvc.store.jobs import JobStore
from jobsvc.store.lease_ends import LeaseEndStore
from jobsvc.store.leases import LeaseStore
from jobsvc.store.queue_control import QueueControlStore
from jobsvc.store.queue_history import QueueHistoryStore
from jobsvc.store.queues import QueueStore
from jobsvc.store.sessions import Pooling
from jobsvc.store.shared_reads import SharedReads
from jobsvc.store.upkeep import UpkeepStore
from jobsvc.store.workers import WorkerStore
from jobsvc.telemetry.catalogue import BATCH_ITEMS, BATCHES
from jobsvc.telemetry.measurements import Measurements


class Store:
    """The typed statements, grouped by their subject."""

    def __init__(
        self,
        database: Database,
        server_id: str,
        max_queues: int,
        measurements: Measurements | None = None,
    ) -> None:
        self.database = database
        self.jobs = JobStore(database)
        self.job_control = JobControlStore(database)
        self.shared_reads = SharedReads(self.jobs)
        self.bulk_operations = BulkOperationStore(database)
        self.job_lists = JobListStore(database, MAX_CANDIDATES)
        self.changes = ChangeStore(database)
        self.claims = ClaimStore(database, measurements)
        self.leases = LeaseStore(database)
        self.lease_ends = LeaseEndStore(database)
        self.queues = QueueStore(database, max_queues)
        self.queue_control = QueueControlStore(database)
        self.queue_history = QueueHistoryStore(database)
        self.workers = WorkerStore(database, server_id)
        self.credentials = CredentialStore(database)
        self.audit = AuditStore(database)
        self.upkeep = UpkeepStore(database)

    def take_found_away(self) -> bool:
        """Whether, since the last call, the database was away for what workers last reported."""
        found = [b.take_found_away() for b in (self.leases.extensions, self.lease_ends.ends)]
        return any(found)


@asynccontextmanager
async def open_store(
    dsn: str,
    server_id: str,
    pool_size: int,
    statement_seconds: float,
    max_queues: int,
    schema: str = SCHEMA,
    pooling: Pooling | None = None,
    statements: Mapping[str, str] | None = None,
    measurements: Measurements | None = None,
) -> AsyncIterator[Store]:
    """Opens a store on the database at `dsn`, with its batchers running.

    The schema must be up to date. `pooling` None finds it out. `statements` are others than those
    of this package.

    Raises:
        DsnInvalid, DatabaseUnavailable: no connection can be made.
    """
    async with (
        open_database(
            dsn, pool_size, statement_seconds, schema, pooling, statements, measurements
        ) as database,
        asyncio.TaskGroup() as tasks,
    ):
        store = Store(database, server_id, max_queues, measurements)
        named: dict[str, Batcher[Any, Any]] = {  # each of its own items and results
            "create": store.jobs.creates,
            "create large": store.jobs.large_creates,
            "read": store.shared_reads.batcher,
            "end": store.lease_ends.ends,
            "extend": store.leases.extensions,
        }
        if measurements is not None:
            measurements.gauge(BATCHES, lambda: [((n,), b.batches) for n, b in named.items()])
            measurements.gauge(BATCH_ITEMS, lambda: [((n,), b.items) for n, b in named.items()])
        batchers = [
            tasks.create_task(batcher.run(), name=f"batch {name}")
            for name, batcher in named.items()
        ]
        try:
            yield store
        finally:
            for batcher in batchers:
                batcher.cancel()
