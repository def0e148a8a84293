"""What a change of a queue did that may not be meant."""

import time

from jobsvc.domain.payload import PayloadInvalid, parse_payload
from jobsvc.domain.queue import QueueUpdate, QueueWarning
from jobsvc.domain.schema import RefusedSchema, Schema
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.store.queues import QueueStore

#: Bounds of one look: the first jobs of the queue, bytes of their inputs, and time for the check.
MAX_JOBS = 1000
_MAX_BYTES = 4 * 1024 * 1024
_MAX_SECONDS = 0.5


async def warnings_of(
    update: QueueUpdate, queues: QueueStore, catalog: Catalog, max_seconds: float = _MAX_SECONDS
) -> list[QueueWarning]:
    """Returns the warnings: a schema that was not taken back, or jobs that do not fit.

    Jobs are looked at only when the schema of inputs has changed, and for `max_seconds` at most.
    """
    if update.superseded:
        # One of them says it all.
        return [_superseded(update.superseded[0])]
    new = update.queue.input_schema_id
    if new is None or new == update.before.input_schema_id:
        return []
    schema = await catalog.schema(new)
    misfits = await _count_misfits(queues, update.queue.name, schema, max_seconds)
    return [_misfits(misfits)] if misfits else []


def _superseded(field: str) -> QueueWarning:
    return QueueWarning(
        f"queue.{field}",
        "SCHEMA_SUPERSEDED",
        f"the queue has had this {field} before and replaced it since, so nothing was changed",
    )


def _misfits(counted: str) -> QueueWarning:
    return QueueWarning(
        "queue.input_schema",
        "WAITING_JOBS_DO_NOT_FIT",
        f"{counted}; they are not checked again, and a worker may reject them",
    )


async def _count_misfits(
    queues: QueueStore, name: str, schema: Schema | RefusedSchema, max_seconds: float
) -> str:
    """How many of the jobs that leave the queue first do not fit a schema, in words; empty for
    none. Lets others have the event loop in between."""
    # One more says whether others wait.
    inputs, waiting = await queues.first_inputs(name, MAX_JOBS + 1, _MAX_BYTES)
    count = checked = 0
    time_slice, until = TimeSlice(), time.monotonic() + max_seconds
    for stored in inputs[:MAX_JOBS]:
        count += not _fits(schema, stored or "{}")
        checked += 1
        if time_slice.used_up:
            if time.monotonic() >= until:
                break
            await time_slice.yield_()
    if not count:
        return ""
    if checked == waiting:
        return f"{count:,} of {checked:,} waiting jobs do not fit it"
    return f"at least {count:,} waiting jobs do not fit it, of the first {checked:,}"


def _fits(schema: Schema | RefusedSchema, text: str) -> bool:
    try:
        return not schema.violations(parse_payload(text), "input", text)
    except PayloadInvalid:
        return False  # a server of before took it
