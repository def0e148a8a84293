"""A server that is killed while hundreds of creations are under way on the stream of a caller."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from jobsvc.client import AsyncClient, CallFailed, Client
from tests.e2e.support.example import bulk_command, is_built, lines, note
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch, nothing_created
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")
_CREATIONS = 500


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_creations_under_way_end_and_make_one_job_each(stage: Stage, kind: str) -> None:
    server = await stage.serve()
    created: dict[str, str] = {}
    failed: list[CallFailed] = []

    async def create(call: Callable[..., Any], request_ids: list[str]) -> None:
        for request_id in request_ids:
            try:
                created[request_id] = (await call("q", request_id=request_id)).id
            except CallFailed as failure:
                failed.append(failure)

    async def create_all(call: Callable[..., Any]) -> None:
        request_ids = [str(uuid4()) for _ in range(20 * _CREATIONS)]
        # One caller each, so that all of them are under way at the kill.
        async with asyncio.TaskGroup() as tasks:
            for start in range(_CREATIONS):
                tasks.create_task(create(call, request_ids[start::_CREATIONS]))
            await eventually(lambda: len(created) > _CREATIONS, what="creations")
            server.kill()
            assert len(created) < len(request_ids) - _CREATIONS
            before = len(created)
            await stage.serve(port=server.port)
            await eventually(lambda: len(created) > before, what="creations by the new server")
        assert len(created) + len(failed) == len(request_ids)

    async with AsyncClient(server.target) as client:
        await client.declare_queue("q")
        if kind == "async":
            await create_all(client.create)
    if kind == "sync":
        # With a thread for each caller.
        with Client(server.target) as blocking, ThreadPoolExecutor(_CREATIONS) as threads:

            async def call(*args: Any, **options: Any) -> Any:
                function = partial(blocking.create, *args, **options)
                return await asyncio.get_running_loop().run_in_executor(threads, function)

            await create_all(call)
    assert all(failure.transient for failure in failed)
    jobs = await jobs_by_request_id(stage)
    assert created.items() <= jobs.items(), "an acknowledged job is missing"


async def jobs_by_request_id(stage: Stage) -> dict[str, str]:
    """The ids of all jobs; no request id may have made two."""
    rows = await fetch(stage.dsn, "SELECT id::text, request_id::text FROM job")
    jobs = {row["request_id"]: row["id"] for row in rows}
    assert len(jobs) == len(rows), "a creation made two jobs"
    return jobs


async def kill_between_commit_and_confirmation(
    stage: Stage, server: Server, begin: Callable[[], Any]
) -> int:
    """Kills a server when the database has committed what `begin` has it create, before the server
    hears of it; returns how many jobs these are. It has one connection, on which a job was created
    before: so the statement is not stopped before it is all there."""
    (before,) = await fetch(stage.dsn, "SELECT count(*) FROM job")
    async with nothing_created(stage.dsn):
        begin()
        waiting = """SELECT FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE '-- Writes jobs %'"""
        await eventually(lambda: fetch(stage.dsn, waiting), what="a creation under way")
        server.freeze()

    async def committed() -> int:
        (now,) = await fetch(stage.dsn, "SELECT count(*) FROM job")
        return int(now["count"] - before["count"])

    count = int(await eventually(committed, what="a commit"))
    server.kill()
    return count


async def test_python_client_makes_one_job_of_what_was_committed_unconfirmed(stage: Stage) -> None:
    server = await stage.serve(pool_size=1)
    created: dict[str, str] = {}

    async def create(request_id: str) -> None:
        created[request_id] = (await client.create("q", request_id=request_id)).id

    async with AsyncClient(server.target, timeout=60) as client, asyncio.TaskGroup() as tasks:
        await client.declare_queue("q")
        await client.create("q")  # Those after the first share a stream.
        request_ids = [str(uuid4()) for _ in range(_CREATIONS)]

        def begin() -> None:
            for request_id in request_ids:
                tasks.create_task(create(request_id))

        count = await kill_between_commit_and_confirmation(stage, server, begin)
        assert count > 1, "those of a stream share a commit"
        assert not created
        await stage.serve(port=server.port)
    jobs = await jobs_by_request_id(stage)
    assert len(jobs) == 1 + _CREATIONS
    assert created.items() <= jobs.items()
    assert set(created) == set(request_ids)


async def test_caller_in_go_makes_one_job_of_what_was_committed_unconfirmed(stage: Stage) -> None:
    """It knows nothing of this server but the contract, and follows its jobs, too."""
    if not is_built("go"):
        pytest.skip("the example in Go is not built: make examples")
    server = await stage.serve(pool_size=1)
    async with AsyncClient(server.target) as client:
        await client.declare_queue("nap")
        first = await client.create("nap", {"seconds": 0})
        await client.cancel(first.id)
    jobs = 3 * 1000  # in as many requests
    options = [f"-jobs={jobs}", "-queue=nap", '-input={"seconds": 0}']
    begun = []

    def begin() -> None:
        begun.append(stage.start_program(server.target, *bulk_command(), *options))

    count = await kill_between_commit_and_confirmation(stage, server, begin)
    (bulk,) = begun
    assert count > 1, "those of a request share a commit"
    assert not [*lines(bulk, "created")]
    server = await stage.serve(port=server.port)
    await stage.work(server.target)
    # Once more, wherever it is by then.
    await eventually(lambda: [*lines(bulk, "created")], what="a confirmation")
    server.kill()
    await stage.serve(port=server.port)
    assert await bulk.exited(120) == 0, bulk.stdout[-2000:]
    note(stage.history, [bulk])
    by_request_id = await jobs_by_request_id(stage)
    by_request_id = {name: job for name, job in by_request_id.items() if job != first.id}
    confirmed = {line["request_id"]: line["job_id"] for line in lines(bulk, "created")}
    assert confirmed == by_request_id
    assert len(confirmed) == jobs
    ended = [line["job_id"] for line in lines(bulk, "ended")]
    assert sorted(ended) == sorted(confirmed.values()), "the end of each comes once"
