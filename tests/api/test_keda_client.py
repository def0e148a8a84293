"""ExternalScaler, called by the client in Go that KEDA has generated from its own contract."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jobsvc.app import Replica
from tests.api.support.fixtures import Create

_SOURCE = Path(__file__).parent / "support" / "keda"
#: Modules come from a proxy, or from where they were put before.
_BUILD_SECONDS = 240

pytestmark = pytest.mark.timeout(_BUILD_SECONDS + 120)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built client."""
    if shutil.which("go") is None:
        pytest.skip("there is no Go")
    built = tmp_path_factory.mktemp("keda") / "client"
    for command in (["go", "mod", "download"], ["go", "build", "-o", str(built), "."]):
        try:
            done = subprocess.run(
                command, cwd=_SOURCE, capture_output=True, text=True, timeout=_BUILD_SECONDS
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{' '.join(command[:3])} takes too long here")
        if done.returncode and command[1] == "mod":
            pytest.skip(f"no Go modules can be had: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return built


@asynccontextmanager
async def _client(
    program: Path, server: Replica, **metadata: str
) -> AsyncIterator[Callable[[], Any]]:
    """Runs the client, and yields what reads the next line that it prints."""
    process = await asyncio.create_subprocess_exec(
        program,
        f"127.0.0.1:{server.port}",
        *(f"{key}={value}" for key, value in metadata.items()),
        stdout=asyncio.subprocess.PIPE,
    )

    async def line() -> Any:
        assert process.stdout is not None
        return json.loads(await asyncio.wait_for(process.stdout.readline(), 30))

    try:
        yield line
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_client_of_keda_is_answered_until_the_server_drains(
    program: Path, server: Replica, create: Create
) -> None:
    await create(schedule_time={"seconds": 4_000_000_000})
    metadata = {"queue": "q", "by": "depth", "targetValue": "2.5", "scalerAddress": "x:1"}
    async with _client(program, server, **metadata) as line:
        assert await line() == ["target", "jobsvc-depth-q", 2.5]
        assert await line() == ["value", "jobsvc-depth-q", 0]
        assert await line() == ["active", False]
        assert await line() == ["stream", False]
        await create()
        while (told := await line()) == ["stream", False]:
            pass
        assert told == ["stream", True]
        draining = asyncio.create_task(server.drain())
        while (told := await line()) == ["stream", True]:
            pass
        assert told == ["end", "OK"]
        await asyncio.wait_for(draining, 10)
