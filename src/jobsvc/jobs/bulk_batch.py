"""One batch of a bulk operation: the next jobs of its filter, each touched or skipped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobsvc.domain.bulk_operation import (
    BatchResult,
    BulkKind,
    BulkOperation,
    Skip,
    SkipReason,
    fitting,
)
from jobsvc.domain.errors import InvalidRequest, NotStorable, QueueFull, QueueNotFound, ServiceFull
from jobsvc.domain.job_control import check_can_begin, conflict_message
from jobsvc.domain.lease import LeaseId
from jobsvc.settings import Settings
from jobsvc.store.bulk_operations import Candidate
from jobsvc.store.database import Connection
from jobsvc.store.job_control import Queued
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.store import Store

#: Looks at a job that moves each time before it can be touched.
_MAX_LOOKS = 10


@dataclass(slots=True)
class Tally:
    """What was done with some jobs, and what others must hear of it once it is committed."""

    done: int = 0
    skips: list[Skip] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    cancels: list[LeaseId] = field(default_factory=list)
    queued: list[Queued] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Adds what was done with other jobs."""
        self.done += other.done
        self.skips += other.skips
        self.changed += other.changed
        self.cancels += other.cancels
        self.queued += other.queued

    def skip(self, job_id: str, reason: SkipReason, message: str) -> None:
        """Counts a job that was not touched."""
        self.skips.append(Skip(job_id, reason, message))


class BulkBatch:
    """A batch, inside the transaction that has claimed the operation."""

    def __init__(
        self, store: Store, settings: Settings, operation: BulkOperation, connection: Connection
    ) -> None:
        self._store = store
        self._settings = settings
        self._operation = operation
        self._wanted = operation.wanted
        self._action = operation.request.action
        self._connection = connection
        #: Queues that are gone or going, of those in which jobs are queued again.
        self._gone: set[str] = set()
        self.tally = Tally()

    async def run(self, most: int) -> BatchResult:
        """Touches the next jobs, `most` at most."""
        walk = await self._store.job_lists.walk(
            self._wanted,
            self._operation.owner,
            self._operation.position,
            self._operation.most_of_batch(most),
            connection=self._connection,
        )
        job_ids, waits_for = [found.job_id for found in walk.found], None
        known: Mapping[str, Candidate] | None = None
        if self._action.kind is BulkKind.RETRY and job_ids:
            known = await self._read(job_ids)
            job_ids, waits_for = await self._with_room(job_ids, known)
        if job_ids:
            self.tally = await self._touch_apart(job_ids, known)
        position = walk.next_before
        if waits_for is not None:
            position = job_ids[-1] if job_ids else None
        return BatchResult(self.tally.done, self.tally.skips, position, waits_for)

    async def _read(self, job_ids: Sequence[str]) -> Mapping[str, Candidate]:
        return await self._store.bulk_operations.read_candidates(job_ids, self._connection)

    async def _with_room(
        self, job_ids: Sequence[str], known: Mapping[str, Candidate]
    ) -> tuple[list[str], Skip | None]:
        """Locks the queues of jobs, and returns those, from the first on, that find room, in them
        and among the waiting jobs of the owner's service, and the one that does not."""
        room: dict[str, int] = {}
        limits: dict[str, int] = {}
        for queue in sorted({job.queue for job in known.values()}):
            try:
                limit = await self._store.queues.lock_open(queue, self._connection)
            except QueueNotFound:
                self._gone.add(queue)
                continue
            if limit is not None:
                waiting = await self._store.queues.count_waiting(queue, self._connection)
                room[queue], limits[queue] = max(limit - waiting, 0), limit
        there = [job_id for job_id in job_ids if job_id in known]
        count = fitting([known[job_id].queue for job_id in there], room)
        most = self._action.most_waiting
        room_of_service = len(there) if most is None else await self._room_of_service(most)
        if min(count, room_of_service) >= len(there):
            return list(job_ids), None
        stuck = known[there[min(count, room_of_service)]]
        if most is not None and room_of_service < count:
            message = ServiceFull(most).message
        else:
            message = QueueFull(stuck.queue, limits[stuck.queue]).message
        fit = job_ids[: job_ids.index(stuck.job_id)]
        return list(fit), Skip(stuck.job_id, SkipReason.QUEUE_FULL, message)

    async def _room_of_service(self, most: int) -> int:
        waiting = await self._store.queues.count_waiting_of_service(
            self._operation.owner.service, self._connection
        )
        return max(most - waiting, 0)

    async def _touch_apart(
        self, job_ids: Sequence[str], known: Mapping[str, Candidate] | None = None
    ) -> Tally:
        """Touches jobs together and, if their statement fails, one by one: a bad one spoils no
        others."""
        try:
            async with self._store.bulk_operations.apart(self._connection):
                return await self._touch_all(job_ids, known)
        except KeyTaken:
            failed = Skip(job_ids[0], SkipReason.UNIQUE_KEY_TAKEN, "another job takes its key")
        except NotStorable as error:
            failed = Skip(job_ids[0], SkipReason.INVALID_REQUEST, error.message)
        if len(job_ids) == 1:
            return Tally(skips=[failed])
        tally = Tally()
        for job_id in job_ids:
            tally.add(await self._touch_apart([job_id]))
        return tally

    async def _touch_all(
        self, job_ids: Sequence[str], known: Mapping[str, Candidate] | None
    ) -> Tally:
        """Touches jobs, and looks again at those that have moved from table to table meanwhile."""
        tally, left = Tally(), list(job_ids)
        if self._action.kind is BulkKind.CANCEL:
            left = await self._cancel(left, tally)
        for _ in range(_MAX_LOOKS):
            if not left:
                return tally
            known = await self._read(left) if known is None else known
            left = await self._touch(self._sort_out(left, known, tally), tally)
            known = None
        for job_id in left:
            tally.skip(job_id, SkipReason.JOB_STATE_CONFLICT, "it changes all the time")
        return tally

    def _sort_out(
        self, job_ids: Sequence[str], known: Mapping[str, Candidate], tally: Tally
    ) -> list[Candidate]:
        """Returns the jobs that can be touched, and counts the others."""
        rest = []
        for job_id in job_ids:
            job = known.get(job_id)
            if job is None:
                tally.skip(job_id, SkipReason.JOB_NOT_FOUND, "it does not exist any more")
            elif job.state not in self._wanted.states:
                message = conflict_message(
                    job.state, self._wanted.states, self._action.kind.control
                )
                tally.skip(job_id, SkipReason.JOB_STATE_CONFLICT, message)
            elif self._action.kind is BulkKind.CANCEL and job.cancel_requested:
                tally.done += 1  # As if it were asked for again.
            elif job.queue in self._gone:
                message = QueueNotFound(job.queue).message
                tally.skip(job_id, SkipReason.QUEUE_NOT_FOUND, message)
            else:
                rest.append(job)
        return rest

    async def _touch(self, jobs: Sequence[Candidate], tally: Tally) -> list[str]:
        """Touches jobs in the versions that were read, and returns those that have others now."""
        control, connection = self._store.job_control, self._connection
        match self._action.kind:
            case BulkKind.CANCEL:
                return await self._cancel([job.job_id for job in jobs], tally)
            case BulkKind.RETRY:
                versions = await self._with_free_keys(jobs, tally)
                counted = (
                    None if self._action.most_waiting is None else self._operation.owner.service
                )
                queued = await control.retry(
                    versions, self._action.extra_attempts, connection, counted
                )
                tally.queued += queued.values()
                done = set(queued)
            case BulkKind.UPDATE:
                assert self._action.change is not None
                versions = self._that_can_begin(jobs, tally)
                queued = await control.update(versions, self._action.change, connection)
                tally.queued += queued.values()
                done = set(queued)
            case BulkKind.DELETE:
                versions = {job.job_id: job.version for job in jobs}
                window_seconds = self._settings.request_id_seconds
                done = await control.delete(versions, window_seconds, connection)
        tally.done += len(done)
        tally.changed += done
        return [job_id for job_id in versions if job_id not in done]

    async def _cancel(self, job_ids: Sequence[str], tally: Tally) -> list[str]:
        """Cancels jobs, and returns those that the statement has missed."""
        if not job_ids:
            return []
        done = await self._store.job_control.cancel_all(
            job_ids,
            sorted(self._wanted.states),
            self._action.reason,
            self._settings.failed_retention_seconds,
            self._settings.cancel_grace_seconds,
            self._connection,
        )
        tally.done += len(done)
        tally.changed += done
        tally.cancels += [lease for lease in done.values() if lease is not None]
        return [job_id for job_id in job_ids if job_id not in done]

    async def _with_free_keys(self, jobs: Sequence[Candidate], tally: Tally) -> dict[str, int]:
        """Returns the jobs, with their versions, that no other job keeps from their unique keys."""
        keys = {(job.queue, job.unique_key) for job in jobs if job.unique_key is not None}
        holders: dict[tuple[str, str | None], str] = {}
        if keys:
            found = await self._store.jobs.find_key_holders(sorted(keys), self._connection)
            overdue = [holder.job_id for holder in found.values() if holder.overdue]
            if overdue:
                # A waiting job whose time is over keeps no key.
                expired = await self._store.upkeep.expire_named(
                    overdue, self._settings.failed_retention_seconds, self._connection
                )
                tally.changed += [job.job_id for job in expired]
            holders |= {key: h.job_id for key, h in found.items() if not h.overdue}
        versions: dict[str, int] = {}
        for job in jobs:
            key = job.queue, job.unique_key
            if job.unique_key is not None and key in holders:
                message = f"unique_key is held by job {holders[key]}"
                tally.skip(job.job_id, SkipReason.UNIQUE_KEY_TAKEN, message)
                continue
            if job.unique_key is not None:
                holders[key] = job.job_id
            versions[job.job_id] = job.version
        return versions

    def _that_can_begin(self, jobs: Sequence[Candidate], tally: Tally) -> dict[str, int]:
        """Returns the jobs, with their versions, that may begin after the change before they
        expire."""
        assert self._action.change is not None
        versions: dict[str, int] = {}
        for job in jobs:
            try:
                check_can_begin(self._action.change, job.expire_time, job.run_time, job.read_time)
            except InvalidRequest as error:
                tally.skip(job.job_id, SkipReason.INVALID_REQUEST, error.message)
            else:
                versions[job.job_id] = job.version
        return versions
