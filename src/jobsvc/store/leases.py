"""Leases: taken, extended and ended in batches, fenced by lease id."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import asyncpg
import msgspec

from jobsvc.domain.job import JobState
from jobsvc.domain.lease import (
    Extended,
    Extension,
    LapsedLease,
    LeasedJob,
    LeaseId,
    LeaseTerms,
    QueuePosition,
    Slot,
)
from jobsvc.domain.lease_end import End, Ended, Requeued
from jobsvc.domain.outcome import (
    MAX_REDELIVERIES,
    OUTPUT_REJECTED,
    Failure,
    Finish,
    Outcome,
    Release,
    Requeue,
    Success,
)
from jobsvc.store.batch import Batcher
from jobsvc.store.columns import documents, short, sparse, words
from jobsvc.store.database import Database
from jobsvc.store.records import (
    decode_error,
    encode_error,
    lapsed_lease_from,
    last_place_from,
    lease_terms_from,
    leased_jobs_from,
)

_MAX_ENDS = 1000

T = TypeVar("T")


class Claimed:
    """What a claim has brought: counted at once, and read when there is time."""

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

    @property
    def last(self) -> QueuePosition | None:
        """Where the last of them stood in the queue."""
        return last_place_from(self._rows)

    def jobs(self) -> list[LeasedJob]:
        """The jobs, in the order of their slots."""
        return leased_jobs_from(self._rows, self._slots)


class LeaseStore:
    """Statements on leases. `run` both batchers while it is in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ends: Batcher[End, Ended] = Batcher(self._end, _MAX_ENDS)
        self.extensions: Batcher[Extension, Extended | None] = Batcher(self._extend, _MAX_ENDS)

    async def lease(self, queue: str, slots: Sequence[Slot]) -> list[LeasedJob]:
        """Leases the next ready jobs of a queue, one for each slot at most, in their order."""
        return (await self.claim(queue, slots)).jobs()

    async def claim(
        self, queue: str, slots: Sequence[Slot], begin: QueuePosition | None = None
    ) -> Claimed:
        """As `lease`, with the jobs still to be read. Does not look at what stands before `begin`
        in its rank."""
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
        )
        return Claimed(rows, slots)

    async def ready(self, queues: Sequence[str]) -> list[str]:
        """Those of the queues that have a job that is ready."""
        return [row["queue"] for row in await self._database.fetch("ready_queues", list(queues))]

    async def read(self, lease_ids: Sequence[LeaseId]) -> Mapping[LeaseId, LeaseTerms]:
        """Those of the leases that are current."""
        rows = await self._database.fetch("read_leases", *_columns(lease_ids))
        return _held(rows)

    async def lapsed(self, most: int) -> list[LapsedLease]:
        """Leases that have run out of time, oldest first."""
        rows = await self._database.fetch("lapsed_leases", most)
        return [lapsed_lease_from(row) for row in rows]

    async def of_worker(self, worker_id: str) -> Mapping[LeaseId, LeaseTerms]:
        """The leases that a worker holds."""
        return _held(await self._database.fetch("leases_of_worker", worker_id))

    async def current(self, lease_ids: Sequence[LeaseId]) -> set[LeaseId]:
        """Those of the leases that are current."""
        if not lease_ids:
            return set()
        rows = await self._database.fetch("current_leases", *_columns(lease_ids))
        return {LeaseId.of(row["job_id"], row["lease_id"]) for row in rows}

    async def give_back(
        self, lease_ids: Sequence[LeaseId], confirmed_too: bool = False, unsent: bool = False
    ) -> Mapping[LeaseId, str]:
        """Puts back leases that never reached their worker; answers with the queues of those.

        A lease that has gone back too often stays, and so does one that was confirmed, unless
        `confirmed_too`. What was `unsent` goes back to where it stood, and is not counted.
        """
        rows = await self._database.fetch(
            "return_leases", *_columns(sorted(lease_ids)), MAX_REDELIVERIES, confirmed_too, unsent
        )
        return {LeaseId.of(row["job_id"], row["lease_id"]): row["queue"] for row in rows}

    async def were_recorded(self, outcomes: Sequence[tuple[LeaseId, Outcome]]) -> list[bool]:
        """Whether each outcome is on record under exactly its lease, word for word."""
        asked = list({lease_id: None for lease_id, _ in outcomes})
        rows = await self._database.fetch("find_outcomes", *_columns(asked))
        found = {LeaseId.of(row["job_id"], row["lease_id"]): row for row in rows}
        return [
            (row := found.get(lease_id)) is not None
            and _same(outcome, row["state"], row["output"], row["error"], row["released"])
            for lease_id, outcome in outcomes
        ]

    async def _extend(self, extensions: Sequence[Extension]) -> list[Extended | None]:
        rows: list[asyncpg.Record] = []
        for wishes in _each_job_once(_latest(extensions), lambda wish: wish.id):
            rows += await self._database.fetch(
                "extend_leases",
                *_columns([e.id for e in wishes]),
                [e.duration_seconds for e in wishes],
                [e.percent for e in wishes],
                [e.message for e in wishes],
                [e.worker_id for e in wishes],
            )
        extended = {
            (LeaseId.of(row["job_id"], row["lease_id"]), worker_id): Extended(
                row["expires_in"], row["cancel_requested"], row["cancel_reason"]
            )
            for row in rows
            for worker_id in (row["worker_id"], None)
        }
        return [extended.get((e.id, e.worker_id)) for e in extensions]

    async def _end(self, ends: Sequence[End]) -> list[Ended]:
        # Of two ends of one lease the first counts; one that holds only if the lease was not
        # extended comes after all others.
        first = {end.id: end for end in ends}
        if len(first) < len(ends):
            first.clear()
            for end in ends:
                before = first.setdefault(end.id, end)
                if before is not end and before.until is not None and end.until is None:
                    first[end.id] = end
        finishes = [(e, v) for e in first.values() if isinstance(v := e.verdict, Finish)]
        done: dict[LeaseId, Ended] = {}
        for part in _each_job_once(finishes, lambda finish: finish[0].id):
            rows = await self._database.fetch(
                "finish_jobs",
                words([e.id for e, _ in part]),
                sparse([e.until for e, _ in part]),
                short([v.state for _, v in part]),
                short([e.retention_seconds for e, _ in part]),
                documents([encode_error(v.error) for _, v in part]),
                documents([v.output for _, v in part]),
            )
            if len(rows) == len(part):
                done.update(dict.fromkeys([e.id for e, _ in part], True))
            else:
                ended = {row["lease_id"] for row in rows}
                done.update((e.id, e.id.number in ended) for e, _ in part)
        requeues = [(e, v) for e in first.values() if isinstance(v := e.verdict, Requeue)]
        for again in _each_job_once(requeues, lambda requeue: requeue[0].id):
            rows = await self._database.fetch(
                "requeue_jobs",
                *_columns([e.id for e, _ in again]),
                [e.until for e, _ in again],
                [v.delay_seconds for _, v in again],
                [v.attempt_used for _, v in again],
                [encode_error(v.error) for _, v in again],
            )
            requeued = {row["lease_id"]: Requeued(row["queue"], row["run_at"]) for row in rows}
            done.update((e.id, requeued.get(e.id.number, False)) for e, _ in again)
        return [first[end.id] is end and done[end.id] for end in ends]


def _latest(extensions: Sequence[Extension]) -> list[Extension]:
    """The last wish of each worker for each lease, with the last progress that it brought: one row
    is updated once a statement."""
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


def _each_job_once(items: Sequence[T], lease_id: Callable[[T], LeaseId]) -> list[list[T]]:
    """Parts, mostly a single one, that name no job twice, each in the order of the rows: batches
    that lock rows in another order would deadlock.

    Which of two leases of one job is current, if any, only the database knows.
    """
    in_order = sorted(items, key=lease_id)
    if len({lease_id(item)[:36] for item in in_order}) == len(in_order):
        return [in_order] if in_order else []
    of_jobs: dict[str, list[T]] = {}
    for item in items:
        of_jobs.setdefault(lease_id(item).job_id, []).append(item)
    left = [of_jobs[job_id] for job_id in sorted(of_jobs)]
    parts: list[list[T]] = []
    while left:
        parts.append([of_job[len(parts)] for of_job in left])
        left = [of_job for of_job in left if len(of_job) > len(parts)]
    return parts


def _held(rows: Iterable[asyncpg.Record]) -> dict[LeaseId, LeaseTerms]:
    return {LeaseId.of(row["job_id"], row["lease_id"]): lease_terms_from(row) for row in rows}


def _columns(lease_ids: Sequence[LeaseId]) -> tuple[list[str], list[int]]:
    return [lease.job_id for lease in lease_ids], [lease.number for lease in lease_ids]


def _same(
    outcome: Outcome, state: int | None, output: str | None, error: str | None, released: bool
) -> bool:
    """Whether a record is of this outcome. A success equals by its output, a failure by its error.

    An output counts as the object it spells: a schema check or a second encoder may respell it.
    Of one that was rejected nothing is kept; any success then counts as the same.
    """
    recorded = decode_error(error)
    if isinstance(outcome, Release):
        return released or (state == JobState.CANCELLED and recorded is None)
    if isinstance(outcome, Success):
        if recorded is not None:
            return recorded.reason == OUTPUT_REJECTED
        return state == JobState.COMPLETED and _object(outcome.output) == _object(output)
    if isinstance(outcome, Failure):
        return recorded is not None and recorded == outcome.error and state != JobState.COMPLETED
    return state == JobState.CANCELLED


def _object(text: str | None) -> object:
    return {} if text is None else msgspec.json.decode(text)
