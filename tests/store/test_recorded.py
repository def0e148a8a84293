"""find_outcomes.sql: the same outcome for the same lease is confirmed again, and no other."""

import asyncpg
import pytest
from google.rpc import code_pb2

from jobsvc.domain.job import JobError
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import Cancelled, Failure, Outcome, Release, Success
from jobsvc.store.store import Store
from tests.store.support.samples import BROKEN, create_leased, lease, report

OTHER = JobError(code_pb2.UNAVAILABLE, "BROKEN", "it broke in another way")
EVERY: list[Outcome] = [
    Success('{"a": 1}'),
    Success('{"a": 2}'),
    Success(),
    Failure(BROKEN),
    Failure(OTHER),
    Release(),
    Cancelled(),
]


async def recorded(store: Store, lease_id: LeaseId) -> list[Outcome]:
    """The outcomes out of `EVERY` that count as recorded under a lease."""
    found = await store.lease_ends.were_recorded([(lease_id, outcome) for outcome in EVERY])
    return [outcome for outcome, on_record in zip(EVERY, found, strict=True) if on_record]


@pytest.mark.parametrize("outcome", [o for o in EVERY if not isinstance(o, Cancelled)])
async def test_outcome_on_record_is_recognized(store: Store, outcome: Outcome) -> None:
    lease_id = await create_leased(store)
    assert await recorded(store, lease_id) == []
    await report(store, lease_id, outcome)
    assert await recorded(store, lease_id) == [outcome]
    assert await recorded(store, LeaseId.of(lease_id.job_id, lease_id.number + 1)) == []


async def test_release_is_recognized_after_the_job_went_on(store: Store) -> None:
    first = await create_leased(store)
    await report(store, first, Release())
    (job,) = await lease(store)
    assert await recorded(store, first) == [Release()]
    assert await recorded(store, LeaseId.of(first.job_id, job.id.number + 1)) == []
    assert await recorded(store, job.id) == []


async def test_confirmed_cancel_is_recognized(store: Store, sql: asyncpg.Connection) -> None:
    lease_id = await create_leased(store)
    await sql.execute("UPDATE lease SET cancel_request_time = now()")
    await report(store, lease_id, Cancelled("stopped"))
    # A release counts as one too: it would have ended the job in the same way.
    assert await recorded(store, lease_id) == [Release(), Cancelled()]


async def test_last_failure_is_recognized(store: Store) -> None:
    lease_id = await create_leased(store, max_attempts=1)
    await report(store, lease_id, Failure(BROKEN))
    assert await recorded(store, lease_id) == [Failure(BROKEN)]


async def test_earlier_failure_is_recognized_after_the_job_went_on(store: Store) -> None:
    first = await create_leased(store)
    await report(store, first, Failure(BROKEN, retry_delay_seconds=0))
    (job,) = await lease(store)
    assert await recorded(store, first) == [Failure(BROKEN)]
    await report(store, job.id, Success('{"a": 1}'))
    assert await recorded(store, first) == [Failure(BROKEN)]
    assert await recorded(store, job.id) == [Success('{"a": 1}')]


@pytest.mark.parametrize("spelling", ['{ "b": [2.0], "a": 1 }', '{"a":1,"b":[2]}'])
async def test_output_counts_as_the_object_it_spells(store: Store, spelling: str) -> None:
    lease_id = await create_leased(store)
    await report(store, lease_id, Success('{"a": 1, "b": [2]}'))
    assert await store.lease_ends.were_recorded([(lease_id, Success(spelling))]) == [True]


@pytest.mark.parametrize("other", ['{"a": true}', '{"a": "1"}', '{"a": 1.5}', "{}"])
async def test_another_output_is_not_on_record(store: Store, other: str) -> None:
    lease_id = await create_leased(store)
    await report(store, lease_id, Success('{"a": 1}'))
    assert await store.lease_ends.were_recorded([(lease_id, Success(other))]) == [False]


@pytest.mark.parametrize("column", ["output", "error"])
async def test_record_that_cannot_be_compared_costs_no_other_its_answer(
    store: Store, sql: asyncpg.Connection, column: str
) -> None:
    odd, other = [await create_leased(store) for _ in range(2)]
    for lease_id in (odd, other):
        await report(store, lease_id, Success('{"a": 1}'))
    await sql.execute(f"UPDATE result SET {column} = 'no JSON' WHERE job_id = $1", odd.job_id)
    asked = [(lease_id, Success('{"a":1}')) for lease_id in (odd, other)]
    assert await store.lease_ends.were_recorded(asked) == [False, True]


async def test_no_output_is_the_empty_object(store: Store) -> None:
    lease_id = await create_leased(store)
    await report(store, lease_id, Success())
    assert await store.lease_ends.were_recorded([(lease_id, Success("{}"))]) == [True]


async def test_nothing_asked_is_nothing_found(store: Store) -> None:
    assert await store.lease_ends.were_recorded([]) == []
