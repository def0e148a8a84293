"""Server and worker processes of jobsvc, started and ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bench.measure.checkout import THIS, Checkout
from bench.measure.child_process import Child, child_process
from bench.measure.postgres import Postgres

#: Leases that a worker holds at a time.
WINDOW = 4000
#: In its first 2 s a server notifies others of everything, until it is clear that it is alone.
_ALONE_SECONDS = 2.5


@asynccontextmanager
async def servers(
    postgres: Postgres,
    dsn: str,
    count: int = 1,
    environment: Mapping[str, str] | None = None,
    checkout: Checkout = THIS,
    options: Sequence[str] = (),
) -> AsyncIterator[list[Child]]:
    """Server processes with default settings on one database; `detail` of each is HOST:PORT.
    `options` are those of `jobsvc serve`."""
    settings = {
        "JOBSVC_DSN": dsn,
        "JOBSVC_LISTEN": "127.0.0.1:0",
        "JOBSVC_LOG_LEVEL": "WARNING",
        **checkout.environment,
        **(environment or {}),
    }
    async with AsyncExitStack() as running:
        started = []
        for n in range(count):
            server = child_process(
                f"server-{n}",
                ["-m", "jobsvc", "serve", *options],
                "jobsvc listening on ",
                postgres.log_folder,
                settings,
            )
            started.append(await running.enter_async_context(server))
        await asyncio.sleep(_ALONE_SECONDS)
        yield started


@asynccontextmanager
async def workers(
    postgres: Postgres,
    targets: Sequence[str],
    count: int,
    processor: str = "noop",
    window: int = WINDOW,
    checkout: Checkout = THIS,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[list[Child]]:
    """Worker processes with the processor of that name, spread over the targets, whose environment
    has further variables."""
    arguments = ["-m", checkout.worker_module, str(checkout.processor(processor))]
    arguments += ["--concurrency", str(window), "--target"]
    async with AsyncExitStack() as running:
        started = []
        for n in range(count):
            worker = child_process(
                f"worker-{n}",
                [*arguments, targets[n % len(targets)]],
                "jobsvc worker ",
                postgres.log_folder,
                {**checkout.environment, **(environment or {})},
            )
            started.append(await running.enter_async_context(worker))
        yield started
