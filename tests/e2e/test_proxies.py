"""Callers and workers behind the proxies that people have, with their default limits."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobsvc.client import AsyncClient, Client, JobState
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually
from tests.support.real_proxies import KINDS, real_proxy

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.parametrize("kind", KINDS)
async def test_killed_server_does_not_show_behind_a_proxy(
    stage: Stage, tmp_path: Path, kind: str
) -> None:
    """`follow`, `wait` and the worker's stream go on, as they do without a proxy."""
    server = await stage.serve()
    with real_proxy(kind, server.target, tmp_path) as target:
        worker = await stage.work(target)
        async with AsyncClient(target) as client, asyncio.TaskGroup() as tasks:
            job_id = (await client.create("nap", {"seconds": 1})).id
            states: list[JobState] = []

            async def follow() -> None:
                async for update in client.follow([job_id]):
                    states.append(update.status.state)

            following = tasks.create_task(follow())
            waiting = tasks.create_task(client.wait(job_id, 60))
            await eventually(lambda: JobState.PROCESSING in states, what="the job runs")
            server.kill()
            await stage.serve(port=server.port)
            await following
            assert states[-1] is JobState.COMPLETED
            assert (await waiting).status.state is JobState.COMPLETED
        # The attempt outlived the server.
        assert len(stage.history.runs(job_id)) == 1
        assert worker.exit_code is None


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_creations_get_through_a_proxy_that_bounds_what_is_sent_on_a_stream(
    stage: Stage, tmp_path: Path, kind: str, blocking: bool
) -> None:
    """3 MiB of them: nginx takes 1 MiB."""
    server = await stage.serve()
    input_ = {"text": 3072 * "x"}
    async with AsyncClient(server.target) as client:
        await client.declare_queue("q")
    with real_proxy(kind, server.target, tmp_path) as target:
        if blocking:
            with Client(target) as client_, ThreadPoolExecutor(64) as threads:
                made = list(threads.map(lambda _: client_.create("q", input_), range(1024)))
        else:
            async with AsyncClient(target) as client:
                creations = (client.create("q", input_) for _ in range(1024))
                made = await asyncio.gather(*creations)
    rows = await fetch(stage.dsn, "SELECT id::text FROM job")
    assert {job.id for job in made} == {row["id"] for row in rows}
    assert len(rows) == 1024
