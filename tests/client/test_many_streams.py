"""More long calls on one client than a proxy takes on one connection: nginx 128, HAProxy 100."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, Client, JobState
from jobsvc.worker import Worker, processor
from tests.support.probe import eventually
from tests.support.real_proxies import KINDS, real_proxy

TASKS = 500
THREADS = 200
#: Ordinary calls beside them are as quick as ever.
TIMEOUT_SECONDS = 5.0


@processor("idle")
async def end(_: dict[str, str]) -> None:
    """Ends a job."""


async def complete(server: Replica, job_id: str) -> None:
    """Lets a worker end the job."""
    target = f"127.0.0.1:{server.port}"
    async with Worker([end], target=target), AsyncClient(target) as client:
        assert (await client.wait(job_id, timeout=30)).succeeded


pytestmark = pytest.mark.parametrize("kind", KINDS)


async def test_500_tasks_follow_behind_a_proxy(server: Replica, kind: str, tmp_path: Path) -> None:
    following = set[int]()
    with real_proxy(kind, f"127.0.0.1:{server.port}", tmp_path) as target:
        async with AsyncClient(target, timeout=TIMEOUT_SECONDS) as client:
            await client.declare_queue("idle")
            job_id = (await client.create("idle")).id

            async def follow(number: int) -> JobState:
                async for update in client.follow([job_id]):
                    following.add(number)
                    state = update.status.state
                return state

            async with asyncio.TaskGroup() as tasks:
                results = [tasks.create_task(follow(number)) for number in range(TASKS)]
                await eventually(lambda: len(following), lambda n: n == TASKS, seconds=60)
                await client.get(job_id)
                await complete(server, job_id)
    assert {result.result() for result in results} == {JobState.COMPLETED}


async def test_200_threads_follow_behind_a_proxy(
    server: Replica, kind: str, tmp_path: Path
) -> None:
    following = set[int]()
    with (
        real_proxy(kind, f"127.0.0.1:{server.port}", tmp_path) as target,
        Client(target, timeout=TIMEOUT_SECONDS) as client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        await asyncio.to_thread(client.declare_queue, "idle")
        job_id = (await asyncio.to_thread(client.create, "idle")).id

        def follow(number: int) -> JobState:
            for update in client.follow([job_id]):
                following.add(number)
                state = update.status.state
            return state

        results = [threads.submit(follow, number) for number in range(THREADS)]
        await eventually(lambda: len(following), lambda n: n == THREADS, seconds=60)
        await asyncio.to_thread(client.get, job_id)
        await complete(server, job_id)
        await asyncio.gather(*map(asyncio.wrap_future, results))
    assert {result.result() for result in results} == {JobState.COMPLETED}
