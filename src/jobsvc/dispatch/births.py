"""Jobs that are born leased: the statement that creates them leases them to workers of this replica
that can begin at once."""

import secrets
import time
from collections.abc import Sequence
from typing import NamedTuple

from jobsvc.dispatch.claim_loop import ClaimLoop
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.planner import Claim
from jobsvc.domain.born_lease import born_leased_job, born_leased_status, may_be_born_leased
from jobsvc.domain.errors import DatabaseFailure, QueueNotFound
from jobsvc.domain.job import NewJob
from jobsvc.domain.lease import LeasedJob, LeaseId, NewLease, Slot
from jobsvc.store.jobs import BornLeased, Written
from jobsvc.store.store import Store


class _Birth(NamedTuple):
    """Jobs of a queue that are to be born leased: one in each slot of the claim."""

    claim: Claim
    jobs: Sequence[NewJob]
    leases: Sequence[NewLease]


class Births:
    """Writes new jobs for `JobStore`, and gives them to workers where it can.

    All of it takes place in the task of the batcher: a caller that leaves changes nothing.
    """

    def __init__(self, store: Store, lease_duration: LeaseDuration, claims: ClaimLoop) -> None:
        self._store = store
        self._lease_duration = lease_duration
        self._claims = claims

    def is_idle(self, queue: str) -> bool:
        """Whether a job that is created in a queue now would be born leased, as far as is known."""
        return self._claims.is_idle(queue)

    async def write(self, jobs: Sequence[NewJob]) -> Sequence[Written]:
        """Writes jobs in one statement. Returns for each what `JobStore.create` returns.

        Raises: as that statement; then no job is known to be leased.
        """
        births = await self._reserve(jobs)
        if not births:
            return await self._store.jobs.write_waiting(jobs)
        try:
            asked = [lease for birth in births for lease in birth.leases]
            written = await self._store.jobs.write_leased(jobs, asked)
        except BaseException as error:
            for birth in births:
                self._claims.not_born(birth.claim, in_doubt=isinstance(error, DatabaseFailure))
            raise
        born = {
            job.id: times
            for job, times in zip(jobs, written, strict=True)
            if isinstance(times, BornLeased)
        }
        now = time.monotonic()
        for claim, own, leases in births:
            dealt: list[LeasedJob | None] = [
                born_leased_job(job, lease, *born[job.id], now) if job.id in born else None
                for job, lease in zip(own, leases, strict=True)
            ]
            known = {
                job.id: born_leased_status(job, lease, born[job.id].start_time)
                for job, lease in zip(own, leases, strict=True)
                if job.id in born
            }
            self._claims.born(claim, dealt, known)
        return written

    async def _reserve(self, jobs: Sequence[NewJob]) -> list[_Birth]:
        able: dict[str, list[NewJob]] = {}
        for job in jobs:
            if may_be_born_leased(job):
                able.setdefault(job.options.queue, []).append(job)
        durations = {}
        for queue in filter(self._claims.is_idle, able):
            try:
                durations[queue] = await self._lease_duration.seconds(queue, None)
            except (QueueNotFound, DatabaseFailure):
                continue  # The statement finds the same.
        # Nothing is awaited from here to the statement: what is reserved is released after it.
        births = []
        for queue, seconds in durations.items():
            first = sorted(able[queue], key=lambda job: -job.options.priority)
            size = sum(len(job.input or "") for job in first)
            claim = self._claims.reserve(queue, len(first), size)
            if claim is not None:
                first = first[: len(claim.slots)]
                leases = [
                    NewLease(
                        LeaseId.of(job.id, secrets.randbits(64) - (1 << 63)),
                        Slot(slot.worker_id, slot.lease_seconds or seconds),
                    )
                    for job, slot in zip(first, claim.slots, strict=True)
                ]
                births.append(_Birth(claim, first, leases))
        return births
