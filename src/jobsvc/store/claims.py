"""Claims: the next ready jobs of a queue are leased to workers."""

import secrets
from collections.abc import Sequence

import asyncpg

from jobsvc.domain.lease import LeasedJob, QueuePosition, Slot
from jobsvc.store.columns import short
from jobsvc.store.database import Database
from jobsvc.store.records import last_position_from, leased_jobs_from
from jobsvc.telemetry.jobs import JobMeasurements, Timed
from jobsvc.telemetry.measurements import Measurements

#: Bytes of a lease's number. Random: who can guess the id of a lease can report on its job.
_NUMBER_BYTES = 8


class Claimed:
    """The result of a claim: counted at once, and converted to jobs when there is time."""

    def __init__(self, rows: Sequence[asyncpg.Record], slots: Sequence[Slot]) -> None:
        self._rows = rows
        self._slots = slots

    @property
    def count(self) -> int:
        """The number of jobs."""
        return sum(len(row["slots"]) for row in self._rows)

    @property
    def size(self) -> int:
        """Characters of their inputs."""
        return sum(len(row["inputs"]) for row in self._rows)

    def wait_seconds(self) -> list[float]:
        """For how long the jobs were ready, in no order."""
        return [seconds for row in self._rows for seconds in row["waits"]]

    @property
    def longest_wait(self) -> Timed:
        """The longest of them, and the `traceparent` of its job."""
        return max((max(row["waits"]), row["traceparent"]) for row in self._rows)

    @property
    def last(self) -> QueuePosition | None:
        """The position that the last of the jobs had in the queue; None if there are no jobs."""
        return last_position_from(self._rows)

    def jobs(self) -> list[LeasedJob]:
        """Returns the jobs, in the order of their slots."""
        return leased_jobs_from(self._rows, self._slots)


class ClaimStore:
    """Statements that find ready jobs and lease them."""

    def __init__(self, database: Database, measurements: Measurements | None = None) -> None:
        self._database = database
        self._measured = JobMeasurements(measurements)

    async def lease(self, queue: str, slots: Sequence[Slot]) -> list[LeasedJob]:
        """Leases the next ready jobs of a queue, at most one for each slot, in their order."""
        return (await self.claim(queue, slots)).jobs()

    async def claim(
        self, queue: str, slots: Sequence[Slot], begin: QueuePosition | None = None
    ) -> Claimed:
        """Does the same as `lease`, but leaves the conversion of the rows to the caller.

        The search skips jobs of the rank of `begin` that stand before it.
        """
        workers = {slot.worker_id: None for slot in slots}
        numbers = {worker_id: number for number, worker_id in enumerate(workers, 1)}
        rows = await self._database.fetch(
            "lease_jobs",
            queue,
            len(slots),
            list(workers),
            short([numbers[slot.worker_id] for slot in slots]),
            short([slot.duration_seconds for slot in slots]),
            begin and begin.rank,
            begin and begin.run_time,
            secrets.token_bytes(_NUMBER_BYTES * len(slots)),
        )
        claimed = Claimed(rows, slots)
        if rows:
            self._measured.waited(queue, claimed.wait_seconds(), claimed.longest_wait)
        return claimed

    async def ready(self, queues: Sequence[str]) -> list[str]:
        """Returns those of the queues that have a ready job."""
        return [row["queue"] for row in await self._database.fetch("ready_queues", list(queues))]
