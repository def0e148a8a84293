"""What the database cannot store, for whatever reason, has a final answer and spoils nothing else.

A check that somebody added stands for all reasons."""

import asyncpg
import pytest
from msgspec.structs import replace

from jobsvc.domain.errors import NotStorable
from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.lease import Extended, Extension, LeaseId
from jobsvc.domain.lease_end import Requeued
from jobsvc.domain.outcome import OUTCOME_REJECTED, Failure, Finish, Requeue, Success
from jobsvc.event_log import MAX_LINES
from jobsvc.store.store import Store
from tests.store.support.samples import (
    BROKEN,
    RETRY,
    create,
    create_leased,
    end,
    new_job,
    tables_of,
)

BAD = '{"text": "poison"}'
BAD_ERROR = JobError(BROKEN.code, "BROKEN", "poison")


@pytest.fixture(autouse=True)
async def picky(sql: asyncpg.Connection) -> None:
    """The database of a team that tolerates no poison."""
    for column, table in (
        ("input", "job"),
        ("output", "result"),
        ("error", "attempt"),
        ("error", "result"),
        ("progress_message", "lease"),
    ):
        await sql.execute(
            f"ALTER TABLE {table} ADD CHECK (coalesce({column}::text, '') NOT LIKE '%poison%')"
        )


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Finish(JobState.COMPLETED, output=BAD), JobState.FAILED),
        (Finish(JobState.FAILED, error=BAD_ERROR), JobState.FAILED),
        (Finish(JobState.CANCELLED, error=BAD_ERROR), JobState.CANCELLED),
        (replace(RETRY, error=BAD_ERROR), JobState.FAILED),
    ],
)
async def test_outcome_that_cannot_be_stored_ends_its_job(
    store: Store, sql: asyncpg.Connection, verdict: Finish | Requeue, state: JobState
) -> None:
    bad, good = await create_leased(store), await create_leased(store)
    first, _ = await store.lease_ends.ends.submit([end(bad, verdict), end(good)])
    assert first == Finish(state, error=OUTCOME_REJECTED)
    assert await tables_of(sql, bad.job_id) == {"job", "result"}
    jobs = await store.jobs.read([bad.job_id, good.job_id])
    status = jobs[bad.job_id].status
    assert (status.state, status.output, status.error) == (state, None, OUTCOME_REJECTED)
    assert jobs[good.job_id].status.state is JobState.COMPLETED


@pytest.mark.parametrize(
    "bad", [replace(RETRY, error=BAD_ERROR), Finish(JobState.FAILED, error=BAD_ERROR)]
)
async def test_ends_that_were_written_before_a_bad_one_of_their_batch_are_known(
    store: Store, bad: Finish | Requeue
) -> None:
    ids = [await create_leased(store) for _ in range(3)]
    ends = [end(ids[0], bad), end(ids[1]), end(ids[2], RETRY), end(ids[1])]
    first, second, third, again = await store.lease_ends.ends.submit(ends)
    assert first == Finish(JobState.FAILED, error=OUTCOME_REJECTED)
    assert (second, type(third), again) == (True, Requeued, False)


async def test_outcome_that_could_not_be_stored_is_confirmed_again(store: Store) -> None:
    lease_id = await create_leased(store)
    bad = end(lease_id, Finish(JobState.COMPLETED, output=BAD))
    await store.lease_ends.ends.submit_one(bad)
    again = [(lease_id, Success(BAD)), (lease_id, Failure(BAD_ERROR))]
    assert await store.lease_ends.were_recorded(again) == [True, True]
    other = LeaseId.of(lease_id.job_id, 1)
    assert await store.lease_ends.were_recorded([(other, Success(BAD))]) == [False]


async def test_progress_that_cannot_be_stored_costs_no_lease(store: Store) -> None:
    bad, good = await create_leased(store), await create_leased(store)
    extensions = [Extension(bad, percent=50, message="poison"), Extension(good, percent=60)]
    results = await store.leases.extensions.submit(extensions)
    assert [type(result) for result in results] == [Extended, Extended]
    jobs = await store.jobs.read([bad.job_id, good.job_id])
    assert [jobs[i.job_id].status.progress_percent for i in (bad, good)] == [None, 60]


async def test_input_that_cannot_be_stored_is_refused_without_quoting_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = new_job(input=BAD), new_job()
    refused, created = await store.jobs.creates.submit([bad, good])
    assert isinstance(refused, NotStorable)
    assert refused.message == "request: the database cannot store it (23514 CheckViolationError)"
    assert created is not None
    assert not isinstance(created, Exception)
    assert "poison" not in caplog.text
    with pytest.raises(NotStorable):
        await store.jobs.create_unnamed([bad])
    async with store.database.transaction() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await store.jobs.create_all(connection, [bad])
    assert set(await store.jobs.read([bad.id, good.id])) == {good.id}


async def test_what_cannot_be_stored_is_not_told_each_time(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(MAX_LINES):
        for item in await store.jobs.creates.submit([new_job(input=BAD), new_job()]):
            assert item is not None
    told = [record.getMessage() for record in caplog.records]
    text = "create_jobs: the database cannot store it (23514 CheckViolationError)"
    # A batch, and then its bad item.
    assert told == [text] * MAX_LINES


async def test_emoji_is_a_text_like_any_other(store: Store) -> None:
    job_id = await create(store, input='{"text": "\N{SNAKE}"}')
    assert (await store.jobs.read([job_id]))[job_id].input == '{"text": "\N{SNAKE}"}'
