"""Ends of leases: written in batches, fenced by lease id, and looked up when reported again."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobsvc.domain.canonical import same_payload
from jobsvc.domain.job import JobState
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.lease_end import End, Ended, Requeued, ends_instead
from jobsvc.domain.outcome import (
    OUTCOME_REJECTED,
    OUTPUT_REJECTED,
    Failure,
    Finish,
    Outcome,
    Release,
    Requeue,
    Success,
)
from jobsvc.event_loop.time_slice import in_slices
from jobsvc.store.batch import Batcher, PartlyWritten
from jobsvc.store.columns import documents, lease_columns, short, sparse, words
from jobsvc.store.database import Database
from jobsvc.store.lock_order import in_lock_order
from jobsvc.store.records import decode_error, encode_error, ended_status

log = logging.getLogger(__name__)

_MAX_ENDS = 1000


class EndPlan(NamedTuple):
    """A batch of ends, ready to write: the counting end of each lease, and one part a statement."""

    counting: Mapping[LeaseId, End]
    finishes: list[list[End]]
    requeues: list[list[End]]


def plan_ends(ends: Sequence[End]) -> EndPlan:
    """Chooses the end of each lease that counts, and sorts the chosen ends into statements."""
    counting = counting_ends(ends)
    finishes = [end for end in counting.values() if isinstance(end.verdict, Finish)]
    requeues = [end for end in counting.values() if isinstance(end.verdict, Requeue)]
    return EndPlan(counting, in_lock_order(finishes), in_lock_order(requeues))


def counting_ends(ends: Sequence[End]) -> dict[LeaseId, End]:
    """Returns the end of each lease that counts: the first without `until`, or else the first.

    An end with `until` is written only if the lease was not extended, so others go before it.
    """
    counting = {end.id: end for end in ends}
    if len(counting) == len(ends):
        return counting
    counting.clear()
    for end in ends:
        before = counting.setdefault(end.id, end)
        if before.until is not None and end.until is None:
            counting[end.id] = end
    return counting


class LeaseEndStore:
    """Statements that end leases. `run` the batcher `ends` while the store is in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ends: Batcher[End, Ended] = Batcher(self._end, _MAX_ENDS, instead=ends_instead)

    async def were_recorded(self, outcomes: Sequence[tuple[LeaseId, Outcome]]) -> list[bool]:
        """Returns for each outcome whether it is on record under exactly its lease. What cannot be
        compared is not."""
        asked = list({lease_id: None for lease_id, _ in outcomes})
        rows = await self._database.fetch("find_outcomes", *lease_columns(asked))
        found = {LeaseId.of(row["job_id"], row["lease_id"]): row for row in rows}
        return [
            (row := found.get(lease_id)) is not None
            and await _is_same(outcome, row["state"], row["output"], row["error"], row["released"])
            for lease_id, outcome in outcomes
        ]

    async def _end(self, ends: Sequence[End]) -> list[Ended]:
        plan = plan_ends(ends)
        written: dict[LeaseId, Ended] = {}
        try:
            for part in plan.finishes:
                written.update(await self._finish(part))
            for part in plan.requeues:
                written.update(await self._requeue(part))
        except Exception as error:
            if not written:
                raise
            counting = [plan.counting[end.id] is end for end in ends]
            results = [c and written.get(e.id) for c, e in zip(counting, ends, strict=True)]
            raise PartlyWritten(results) from error
        return [plan.counting[end.id] is end and written[end.id] for end in ends]

    async def _finish(self, part: Sequence[End]) -> Mapping[LeaseId, Ended]:
        verdicts = [v for end in part if isinstance(v := end.verdict, Finish)]
        progress = sparse([end.progress for end in part])
        wanted = [end.id.job_id for end in part if end.with_status]
        rows = await self._database.fetch(
            "finish_jobs",
            words([end.id for end in part]),
            sparse([end.until for end in part]),
            short([v.state for v in verdicts]),
            short([end.retention_seconds for end in part]),
            documents([encode_error(v.error) for v in verdicts]),
            documents([v.output for v in verdicts]),
            [p and p.percent for p in progress],
            [p and p.message for p in progress],
            wanted,
        )
        if len(rows) == len(part):
            if len(part) == 1 and verdicts[0].error is OUTCOME_REJECTED:
                return {part[0].id: verdicts[0]}
            if not wanted:
                return dict.fromkeys([end.id for end in part], True)
        finished = {str(row["job_id"]): row["status"] for row in rows}
        ended: dict[LeaseId, Ended] = {}
        for end, verdict in zip(part, verdicts, strict=True):
            row = finished.get(end.id.job_id)
            ended[end.id] = end.id.job_id in finished if row is None else ended_status(row, verdict)
        return ended

    async def _requeue(self, part: Sequence[End]) -> Mapping[LeaseId, Ended]:
        verdicts = [v for end in part if isinstance(v := end.verdict, Requeue)]
        rows = await self._database.fetch(
            "requeue_jobs",
            *lease_columns([end.id for end in part]),
            [end.until for end in part],
            [v.delay_seconds for v in verdicts],
            [v.attempt_used for v in verdicts],
            [encode_error(v.error) for v in verdicts],
        )
        requeued = {str(row["job_id"]): Requeued(row["queue"], row["run_at"]) for row in rows}
        return {end.id: requeued.get(end.id.job_id, False) for end in part}


async def _is_same(outcome: Outcome, *record: Any) -> bool:  # Any: columns of a row
    try:
        return await _same(outcome, *record)
    except Exception:
        # One that cannot be read must not cost the others their answers.
        log.exception("an outcome on record cannot be compared")
        return False


async def _same(
    outcome: Outcome, state: int | None, output: str | None, error: str | None, released: bool
) -> bool:
    """Returns whether a record is of this outcome: equal outputs, or equal errors.

    Outputs are compared as objects: a schema check or a second encoder may spell one differently.
    Nothing is kept of a rejected output, or of an outcome that could not be stored; any success, or
    any outcome, then counts as the same.
    """
    recorded = decode_error(error)
    if recorded == OUTCOME_REJECTED:
        return True
    if isinstance(outcome, Release):
        return released or (state == JobState.CANCELLED and recorded is None)
    if isinstance(outcome, Success):
        if recorded is not None:
            return recorded.reason == OUTPUT_REJECTED
        return state == JobState.COMPLETED and (
            outcome.output == output or await in_slices(same_payload(outcome.output, output))
        )
    if isinstance(outcome, Failure):
        return recorded is not None and recorded == outcome.error and state != JobState.COMPLETED
    return state == JobState.CANCELLED
