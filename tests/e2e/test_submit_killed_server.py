"""A server that is killed while hundreds of creations are under way on the stream of a caller."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from jobsvc.client import AsyncClient, CallFailed, Client
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
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
    rows = await fetch(stage.dsn, "SELECT id::text, request_id::text FROM job")
    jobs = {row["request_id"]: row["id"] for row in rows}
    assert len(jobs) == len(rows), "a creation made two jobs"
    assert created.items() <= jobs.items(), "an acknowledged job is missing"
