"""Callers and workers behind the proxies that people have, with their default limits."""

import asyncio
from pathlib import Path

import pytest

from jobsvc.client import AsyncClient, JobState
from tests.e2e.support.stage import Stage
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
