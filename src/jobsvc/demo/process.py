"""Starts a process of the demo, waits for its output, and never leaves it behind."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from jobsvc.demo import end_with_parent
from jobsvc.demo.failure import DemoFailed

_DRAIN_SECONDS = 15.0
_POLL_SECONDS = 0.02


class Process:
    """A running `python …`. Both of its output streams go to `log`."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.log = log
        self._process = process

    async def printed(self, pattern: str, within_seconds: float) -> re.Match[str]:
        """Waits for a line that matches and returns the match.

        Raises:
            DemoFailed: the process ended first, or the time ran out.
        """
        try:
            async with asyncio.timeout(within_seconds):
                while True:
                    # Read before the log: a process may print its line and end.
                    ended = self._process.returncode
                    found = re.search(pattern, self.log.read_text(errors="replace"), re.MULTILINE)
                    if found:
                        return found
                    if ended is not None:
                        raise DemoFailed(f"{self.name} {_ending(ended)} before it was ready")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise DemoFailed(f"{self.name} was not ready within {within_seconds:g} s") from None

    async def must_run(self) -> None:
        """Never returns.

        Raises:
            DemoFailed: the process ended.
        """
        code = await self._process.wait()
        raise DemoFailed(f"{self.name} {_ending(code)}")


def _ending(code: int) -> str:
    return (
        f"was killed by {signal.Signals(-code).name}"
        if code < 0
        else f"ended with exit code {code}"
    )


@asynccontextmanager
async def start_process(
    name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncIterator[Process]:
    """Runs `python *arguments` in `environment` while the block runs.

    Afterwards the process gets SIGTERM and time to drain; then the rest of its
    group is killed. The process leads a session of its own, so that Ctrl-C reaches
    only the demo, which ends its processes in order. On Linux the process also ends
    when the demo is killed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            end_with_parent.__file__,
            str(os.getpid()),
            sys.executable,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(name, log, process)
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    try:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(_DRAIN_SECONDS):
                await process.wait()
    except (TimeoutError, ProcessLookupError):
        pass  # too slow, or just ended; the rest of the group is killed either way
    finally:
        with suppress(ProcessLookupError):  # the usual case: the whole group is gone
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
