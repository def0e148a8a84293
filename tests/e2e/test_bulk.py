"""A bulk operation goes on over kills of the replicas that run it, and touches each job once."""

import pytest

from jobsvc.client import AsyncClient, BulkCancel, BulkOperation, BulkRetry, BulkState, NewJob
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

JOBS = 3000
_VERSIONS = """
    SELECT version, count(*) AS jobs FROM (
        SELECT version FROM jobsvc.result UNION ALL SELECT version FROM jobsvc.waiting) AS job
    GROUP BY version
"""


async def _versions(stage: Stage) -> dict[int, int]:
    """How many jobs have each version."""
    return {row["version"]: row["jobs"] for row in await fetch(stage.dsn, _VERSIONS)}


async def _reached(client: AsyncClient, operation: BulkOperation, done: int) -> BulkOperation:
    """The operation when it has touched so many jobs."""
    return await eventually(
        lambda: client.get_bulk_operation(operation.id),
        lambda now: now.done_count >= done,
        seconds=60,
    )


@pytest.mark.parametrize("action", [BulkCancel("why"), BulkRetry()], ids=["cancel", "retry"])
async def test_operation_survives_kills_and_touches_each_job_once(
    stage: Stage, action: BulkCancel | BulkRetry
) -> None:
    first, second = [await stage.serve() for _ in range(2)]
    async with AsyncClient(first.target) as client:
        await client.declare_queue("nap")
        await client.create_many(NewJob("nap") for _ in range(JOBS))
        if isinstance(action, BulkRetry):
            dead = await client.bulk(BulkCancel())
            assert (await client.wait_bulk_operation(dead.id)).done_count == JOBS
        began_with = (await _versions(stage)).popitem()[0]
        operation = await client.bulk(action, rate=600)
        await _reached(client, operation, 1)
    first.kill()
    async with AsyncClient(second.target) as client:
        at_kill = await client.get_bulk_operation(operation.id)
        assert at_kill.state is BulkState.RUNNING
        await _reached(client, operation, at_kill.done_count + 1)
    third = await stage.serve()
    second.kill()
    async with AsyncClient(third.target) as client:
        at_kill = await client.get_bulk_operation(operation.id)
        assert at_kill.state is BulkState.RUNNING
        assert at_kill.done_count < JOBS
        ended = await client.wait_bulk_operation(operation.id)
    assert (ended.state, ended.done_count, ended.skipped_count) == (BulkState.COMPLETED, JOBS, 0)
    assert await _versions(stage) == {began_with + 1: JOBS}


async def test_operation_whose_statements_are_cut_off_goes_on(stage: Stage) -> None:
    """Its sessions are terminated again and again, many of them in the middle of a batch."""
    server = await stage.serve()
    async with AsyncClient(server.target) as client:
        await client.declare_queue("nap")
        await client.create_many(NewJob("nap") for _ in range(JOBS))
        operation = await client.bulk(BulkCancel(), rate=1500)
        cut = 0
        while cut < 40 and not (await client.get_bulk_operation(operation.id)).ended:
            killed = await fetch(
                stage.dsn,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'jobsvc'"
                " AND pid <> pg_backend_pid() AND query LIKE '%bulk_operation%'",
            )
            cut += len(killed)
        assert cut > 0, "the fault hit"
        ended = await client.wait_bulk_operation(operation.id)
    assert (ended.done_count, ended.skipped_count) == (JOBS, 0)
    assert await _versions(stage) == {2: JOBS}
