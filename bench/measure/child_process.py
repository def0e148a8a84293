"""Processes of a measurement, started and ended; their stderr goes to a file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

#: Longest wait for a process to get ready, and for one to leave.
_READY_SECONDS = 60.0
_LEAVE_SECONDS = 30.0
#: Longest time that one measurement, or one preparation, may take.
_RESULT_SECONDS = 300.0
#: Settings of the caller of the benchmark must not reach what is measured.
_FOREIGN = ("JOBSVC_", "OTEL_", "GRPC_", "PG")


class ChildFailed(Exception):
    """A process failed, or ended or was silent before it had said what it should."""


class Child:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log
        #: The rest of the line with which the process said that it was ready.
        self.detail = ""

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def until_ready(self, ready: str) -> None:
        """Waits for the line that starts with `ready`. Raises ChildFailed."""
        while not (line := await self._line(_READY_SECONDS)).startswith(ready):
            pass
        self.detail = line.removeprefix(ready).strip()

    def start_work(self) -> None:
        """Lets the process work, if it waits for that (see `bench.measure.protocol`)."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def result(self) -> dict[str, float]:
        """The numbers that the process prints. It stays alive after that. Raises ChildFailed."""
        numbers: dict[str, float] = json.loads(await self._line(_RESULT_SECONDS))
        return numbers

    async def leave(self) -> None:
        """Asks the process to end, and waits until it has. Harmless when it has ended."""
        if self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                # Reads on, so that a full pipe does not keep the process from ending.
                await self._process.communicate()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _line(self, seconds: float) -> str:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise ChildFailed(f"{self._name} was silent for {seconds:g} s{self._tail()}") from None
        if not line:
            raise ChildFailed(f"{self._name} ended too early{self._tail()}")
        return line.decode().rstrip()

    def _tail(self) -> str:
        last = self._log.read_text(errors="replace").splitlines()[-5:]
        return "".join(f"\n    {line}" for line in last)


@asynccontextmanager
async def child_process(
    name: str,
    arguments: Sequence[str],
    ready: str,
    log_folder: Path,
    environment: Mapping[str, str] | None = None,
    program: str = sys.executable,
) -> AsyncIterator[Child]:
    """`python ARGUMENT…` once it has printed a line that starts with `ready`; ends with the block.

    Another `program` than this Python runs in its place.

    Raises:
        ChildFailed: it does not get ready.
    """
    log = log_folder / f"{name}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=_environment(environment),
        )
    started = Child(process, name, log)
    try:
        await started.until_ready(ready)
        yield started
    finally:
        await started.leave()


async def run_to_end(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Runs a command in `folder`, or else here, until it ends.

    Raises:
        ChildFailed: its exit code is not 0; the text has the end of its stderr.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(environment),
        cwd=folder,
    )
    try:
        async with asyncio.timeout(_RESULT_SECONDS):
            _, errors = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise ChildFailed(f"{name} failed: {errors.decode(errors='replace')[-2000:]}")


def _environment(own: Mapping[str, str] | None) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    return inherited | dict(own or {})
