"""Python callers and workers on a replica that authenticates: tokens are renewed, and streams that
outlive theirs are opened again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobsvc.app import Replica
from jobsvc.bearer_token import token_in
from jobsvc.client import AsyncClient, CallFailed
from jobsvc.settings import Settings
from jobsvc.worker import Worker, processor
from jobsvc.worker.stream_end import WorkerStopped
from tests.api.support.identities import authenticating
from tests.support.issuer import Issuer
from tests.support.probe import eventually

CALLER = ("jobs.creator", "payloads.viewer")


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    return replace(authenticating(settings, tmp_path, issuer), stream_after_expiry_seconds=0.5)


@processor("mail-echo")
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    """Returns its input."""
    return data


class Tokens:
    """Tokens that last for a second, and how many there were."""

    def __init__(self, issuer: Issuer, subject: str, roles: tuple[str, ...]) -> None:
        self._make = lambda: issuer.token(subject, roles, life=1)
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return self._make()


@pytest.fixture
async def worker_tokens(server: Replica, issuer: Issuer) -> AsyncIterator[Tokens]:
    """Those of a worker that is subscribed."""
    tokens = Tokens(issuer, "worker", ("jobs.worker",))
    async with Worker([echo], target=f"127.0.0.1:{server.port}", token=tokens) as worker:
        await worker.wait_subscribed()
        yield tokens


async def test_worker_and_caller_go_on_over_the_ends_of_their_tokens(
    server: Replica, issuer: Issuer, worker_tokens: Tokens
) -> None:
    tokens = Tokens(issuer, "web", CALLER)
    async with AsyncClient(f"127.0.0.1:{server.port}", token=tokens) as client:
        later = await client.create("mail-echo", {"n": 1}, delay=timedelta(seconds=5))
        seen = [update async for update in client.follow([later.id])]
        assert seen[-1].status.state == "COMPLETED"
    # Each stream was opened more than once, and the job was run by the worker's newest.
    assert tokens.count > 2
    assert worker_tokens.count > 2
    assert len({update.status.version for update in seen}) == len(seen)


async def test_creations_go_on_over_the_ends_of_tokens(server: Replica, issuer: Issuer) -> None:
    target = f"127.0.0.1:{server.port}"
    async with AsyncClient(target, token=issuer.token("root", ("jobs.admin",))) as admin:
        await admin.create_queue("q")
    tokens = Tokens(issuer, "web", ("jobs.creator",))
    async with AsyncClient(target, token=tokens) as client:
        ends_at = time.monotonic() + 4
        made = []
        while time.monotonic() < ends_at:
            made += [
                job.id for job in await asyncio.gather(*(client.create("q") for _ in range(5)))
            ]
            await asyncio.sleep(0.1)  # Over several tokens, whatever way the client has.
    assert len(set(made)) == len(made) > 5
    assert tokens.count > 1


async def test_caller_without_another_token_is_told_so(server: Replica, issuer: Issuer) -> None:
    admin = issuer.token("web", ("jobs.admin",))
    target = f"127.0.0.1:{server.port}"
    async with AsyncClient(target, token=admin) as client:
        await client.create_queue("q")
        job = await client.create("q", {})
    stale = issuer.token("web", CALLER, life=-29)
    began = time.monotonic()
    async with AsyncClient(target, token=stale) as client:
        with pytest.raises(CallFailed) as refused:
            async for _ in client.follow([job.id]):
                pass
    assert (refused.value.code, refused.value.reason) == (
        "UNAUTHENTICATED",
        "CREDENTIALS_INVALID",
    )
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("roles", [(), ("jobs.viewer",)])
async def test_worker_that_may_not_work_stops(
    server: Replica, issuer: Issuer, roles: tuple[str, ...]
) -> None:
    token = issuer.token("worker", roles)
    with pytest.raises(WorkerStopped, match=r"needs the role jobs\.worker"):
        async with Worker([echo], target=f"127.0.0.1:{server.port}", token=token) as worker:
            await worker.wait_left()


async def test_token_file_is_read_again(server: Replica, issuer: Issuer, tmp_path: Path) -> None:
    path = tmp_path / "token"
    read: Callable[[], str] = token_in(path)
    # The file comes later than the worker, as in a pod.
    async with Worker([echo], target=f"127.0.0.1:{server.port}", token=read) as worker:
        subscribed = asyncio.ensure_future(worker.wait_subscribed())
        path.write_text(issuer.token("worker", ("jobs.worker",)) + "\n")
        await eventually(subscribed.done)
        await subscribed
