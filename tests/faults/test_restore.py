"""What each promise means after a restore: the table of docs/operations/backup.md, row by row."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from jobsvc.client import AsyncClient, EtagMismatch, JobNotFound, JobNotOwned
from jobsvc.store.migrate import migrate
from tests.api.support.worker import LOST as LEASE_LOST
from tests.api.support.worker import OK, lease_one, report, success
from tests.e2e.support.command import complaint, run
from tests.e2e.support.tables import fetch, read_tables
from tests.faults.support.before_and_after import (
    BEFORE,
    QUIET,
    SESSION,
    Installation,
    Story,
    after,
    before,
    installation,
)
from tests.faults.support.restoring import METHODS, Backup
from tests.support.clusters import clusters

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(240)]


@dataclass
class Restored:
    """An installation that was backed up, went on, was lost and restored, and checked."""

    backup: Backup
    dsn: str
    story: Story
    #: What `jobsvc restore-check` said.
    report: dict[str, Any]
    at: Installation


@pytest.fixture(scope="module", params=METHODS)
async def restored(request: pytest.FixtureRequest) -> AsyncIterator[Restored]:
    with clusters() as servers:
        backup = Backup(servers, request.param)
        await backup.begin()
        await migrate(backup.server.dsn)
        async with installation(backup.server.dsn) as at:
            story = await before(at)
            await backup.take()
            await after(at, story)
            story.lost_schema_id = await backup.server.fetchval(
                "SELECT max(id) FROM jobsvc.payload_schema"
            )
        await backup.lose()
        server = await backup.restore()
        done = run("restore-check", "--json", JOBSVC_DSN=server.dsn)
        assert done.returncode == 0, done.stderr
        async with installation(server.dsn) as at:
            yield Restored(backup, server.dsn, story, json.loads(done.stdout), at)


async def test_jobs_of_before_are_there_and_later_ones_are_not(restored: Restored) -> None:
    for job_id in restored.story.of_before:
        if job_id != restored.story.owned:
            assert (await restored.at.client.get(job_id)).id == job_id
    with pytest.raises(JobNotFound):
        await restored.at.client.get(restored.story.late)


async def test_request_of_before_makes_no_second_job_and_a_later_one_does(
    restored: Restored,
) -> None:
    client, story = restored.at.client, restored.story
    again = await client.create(QUIET, request_id=story.asked_by)
    assert (again.existing, again.id) == (True, story.asked)
    anew = await client.create(QUIET, request_id=story.late_by)
    assert not anew.existing
    assert anew.id != story.late


async def test_job_whose_end_is_lost_runs_again_on_the_attempt_that_it_had(
    restored: Restored,
) -> None:
    lease = await lease_one(restored.at.workers, queues=["last"])
    assert (lease.job_id, lease.attempt) == (restored.story.last.job_id, 1)
    assert await report(restored.at.workers, success(lease)) == [OK]
    assert (await restored.at.client.get(lease.job_id)).succeeded


async def test_report_under_a_lease_of_before_is_refused(restored: Restored) -> None:
    held = restored.story.held
    assert await report(restored.at.workers, success(held)) == [LEASE_LOST]
    # Nobody has to wait until it would have run out.
    lease = await lease_one(restored.at.workers, queues=["held"])
    assert (lease.job_id, lease.attempt) == (held.job_id, 1)
    assert await report(restored.at.workers, success(held), success(lease)) == [LEASE_LOST, OK]
    assert restored.report["found"]["leases"] == 2


async def test_every_job_is_in_one_place(restored: Restored) -> None:
    tables = await read_tables(restored.dsn)
    places = [*tables.waiting, *tables.leased, *tables.results]
    assert len(places) >= len(restored.story.of_before)
    assert sorted(places) == sorted(tables.jobs)


async def test_versions_are_above_all_that_anybody_has_seen(restored: Restored) -> None:
    client, seen = restored.at.client, restored.story.seen
    assert seen is not None
    now = await client.get(seen.id)
    assert now.status.version > seen.status.version
    with pytest.raises(EtagMismatch):
        await client.update(seen.id, priority=7, etag=seen.etag)
    updates = client.follow([seen.id])
    first = await anext(updates)
    assert first.status.version == now.status.version
    lease = await lease_one(restored.at.workers, queues=["watched"])
    assert await report(restored.at.workers, success(lease)) == [OK]
    assert [update async for update in updates][-1].status.ended


async def test_lost_cancel_is_none_and_a_request_on_record_is_obeyed(restored: Restored) -> None:
    client, story = restored.at.client, restored.story
    assert (await client.get(story.cancelled)).status.state == "PENDING"
    cancelling = await client.get(story.cancelling)
    assert cancelling.status.state == "CANCELLED"
    assert cancelling.status.cancel_request_time is not None


async def test_restored_installation_serves_as_ever(restored: Restored) -> None:
    job, lease = await restored.at.create_leased("new")
    assert await report(restored.at.workers, success(lease)) == [OK]
    assert [u async for u in restored.at.client.follow([job.id])][-1].status.ended


async def test_what_was_deleted_or_declared_in_the_lost_time_is_as_before(
    restored: Restored,
) -> None:
    assert (await restored.at.client.get(restored.story.ended)).succeeded
    (schema,) = await fetch(
        restored.dsn,
        "SELECT definition FROM queue JOIN payload_schema ON id = input_schema_id"
        " WHERE name = 'typed'",
    )
    assert json.loads(schema["definition"]) == BEFORE
    await restored.at.client.declare_queue("typed", input_schema={"maxProperties": 9})
    (row,) = await fetch(restored.dsn, "SELECT max(id) AS id FROM payload_schema")
    assert row["id"] > restored.story.lost_schema_id


async def test_sessions_reach_their_jobs_and_are_not_in_the_backup(restored: Restored) -> None:
    owned = restored.story.owned
    async with AsyncClient(restored.at.target, session_id=SESSION) as ada:
        assert (await ada.get(owned)).id == owned
    with pytest.raises(JobNotOwned):
        await restored.at.client.get(owned)
    if restored.backup.method == "dump":
        text = restored.backup.text_of_dump()
        (row,) = await fetch(restored.dsn, "SELECT value FROM secret")
        assert row["value"].hex() in text, "the page says so"
        assert SESSION not in text
        (key_row,) = await fetch(restored.dsn, "SELECT owner_session FROM job WHERE id = $1", owned)
        assert key_row["owner_session"].hex() in text


def test_second_check_does_nothing(restored: Restored) -> None:
    done = run("restore-check", JOBSVC_DSN=restored.dsn)
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stdout


async def test_dump_without_the_session_key_parts_sessions_from_their_jobs() -> None:
    with clusters() as servers:
        backup = Backup(servers, "dump")
        await backup.begin()
        await migrate(backup.server.dsn)
        async with installation(backup.server.dsn) as at:
            await at.client.declare_queue(QUIET)
            async with AsyncClient(at.target, session_id=SESSION) as ada:
                owned = (await ada.create(QUIET)).id
        key: bytes = await backup.server.fetchval("SELECT value FROM jobsvc.secret")
        await backup.take("--exclude-table-data=jobsvc.secret")
        assert key.hex() not in backup.text_of_dump()
        await backup.lose()
        restored = (await backup.restore()).dsn
        assert complaint(run("serve", JOBSVC_DSN=restored)).startswith(
            "the database has no session key"
        )
        done = run("restore-check", JOBSVC_DSN=restored)
        assert "made a session key" in done.stdout, done.stderr
        async with (
            installation(restored) as at,
            AsyncClient(at.target, session_id=SESSION) as ada,
        ):
            with pytest.raises(JobNotOwned):
                await ada.get(owned)
