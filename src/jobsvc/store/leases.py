"""Current leases: read, extended in batches, redelivered; fenced by lease id."""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import msgspec

from jobsvc.domain.lease import Extended, Extension, LapsedLease, LeaseId, LeaseTerms
from jobsvc.domain.outcome import MAX_REDELIVERIES
from jobsvc.store.batch import Batcher
from jobsvc.store.columns import lease_columns
from jobsvc.store.database import Database
from jobsvc.store.lock_order import in_lock_order
from jobsvc.store.records import lapsed_lease_from, lease_terms_from

_MAX_EXTENSIONS = 1000


class LeaseStore:
    """Statements on current leases. `run` the batcher `extensions` while the store is in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.extensions: Batcher[Extension, Extended | None] = Batcher(
            self._extend, _MAX_EXTENSIONS, instead=_without_progress
        )

    async def read(self, lease_ids: Sequence[LeaseId]) -> Mapping[LeaseId, LeaseTerms]:
        """Returns the terms of those of the leases that are current."""
        return _terms(await self._database.fetch("read_leases", *lease_columns(lease_ids)))

    async def of_worker(self, worker_id: str) -> Mapping[LeaseId, LeaseTerms]:
        """Returns the terms of every lease that a worker holds."""
        return _terms(await self._database.fetch("leases_of_worker", worker_id))

    async def current(self, lease_ids: Sequence[LeaseId]) -> set[LeaseId]:
        """Returns those of the leases that are current."""
        if not lease_ids:
            return set()
        rows = await self._database.fetch("current_leases", *lease_columns(lease_ids))
        return {LeaseId.of(row["job_id"], row["lease_id"]) for row in rows}

    async def cancel_requests(self, lease_ids: Sequence[LeaseId]) -> Mapping[LeaseId, Extended]:
        """Returns how those of the leases stand whose jobs are to be cancelled."""
        rows = await self._database.fetch("read_cancel_requests", *lease_columns(lease_ids))
        return {
            LeaseId.of(row["job_id"], row["lease_id"]): Extended(
                row["expires_in"], True, row["cancel_reason"]
            )
            for row in rows
        }

    async def lapsed(self, limit: int) -> list[LapsedLease]:
        """Returns leases that have run out of time, oldest first."""
        rows = await self._database.fetch("lapsed_leases", limit)
        return [lapsed_lease_from(row) for row in rows]

    async def redeliver(
        self, lease_ids: Sequence[LeaseId], confirmed_too: bool = False, unsent: bool = False
    ) -> Mapping[LeaseId, str]:
        """Moves leased jobs that never reached their worker back into their queues.

        Returns the leases of those jobs, each with its queue. A lease stays if its job was
        redelivered too often, or if it is confirmed, unless `confirmed_too`. With `unsent`, the
        jobs go back to their old positions, and the redelivery is not counted.
        """
        rows = await self._database.fetch(
            "redeliver_leases",
            *lease_columns(sorted(lease_ids)),
            MAX_REDELIVERIES,
            confirmed_too,
            unsent,
        )
        return {LeaseId.of(row["job_id"], row["lease_id"]): row["queue"] for row in rows}

    async def _extend(self, extensions: Sequence[Extension]) -> list[Extended | None]:
        rows: list[asyncpg.Record] = []
        for part in in_lock_order(latest_extensions(extensions)):
            rows += await self._database.fetch(
                "extend_leases",
                *lease_columns([e.id for e in part]),
                [e.duration_seconds for e in part],
                [e.percent for e in part],
                [e.message for e in part],
                [e.worker_id for e in part],
            )
        extended = {
            (LeaseId.of(row["job_id"], row["lease_id"]), worker_id): Extended(
                row["expires_in"], row["cancel_requested"], row["cancel_reason"]
            )
            for row in rows
            for worker_id in (row["worker_id"], None)
        }
        return [extended.get((e.id, e.worker_id)) for e in extensions]


def _without_progress(extension: Extension) -> Sequence[Extension]:
    """Progress that the database cannot store must not cost the lease."""
    return [msgspec.structs.replace(extension, percent=None, message="")]


def latest_extensions(extensions: Sequence[Extension]) -> list[Extension]:
    """Returns each worker's last extension of each lease, with the last progress that it reported:
    a statement updates a row only once."""
    latest: dict[tuple[LeaseId, str | None], Extension] = {}
    for extension in extensions:
        key = extension.id, extension.worker_id
        before = latest.get(key)
        if before is not None and extension.percent is None:
            extension = msgspec.structs.replace(
                extension, percent=before.percent, message=before.message
            )
        latest[key] = extension
    return list(latest.values())


def _terms(rows: Iterable[asyncpg.Record]) -> dict[LeaseId, LeaseTerms]:
    return {LeaseId.of(row["job_id"], row["lease_id"]): lease_terms_from(row) for row in rows}
