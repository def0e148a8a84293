"""Processes of a measurement, started and ended; what they print on stderr goes to a file."""

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
#: Longest time that one measurement may take.
_SLICE_SECONDS = 300.0
#: Settings of whoever runs this must not reach what is measured.
_FOREIGN = ("JOBSVC_", "OTEL_", "GRPC_", "PG")


class ChildFailed(Exception):
    """A process ended, or was silent, before it had said what it should."""


class Child:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log
        #: The rest of the line with which it said that it was ready.
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

    def go(self) -> None:
        """Lets it work, if it waits for its turn (see `bench.turn`)."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")

    async def answer(self) -> dict[str, float]:
        """What it found out. It stays until the end of its context. Raises ChildFailed."""
        numbers: dict[str, float] = json.loads(await self._line(_SLICE_SECONDS))
        return numbers

    async def leave(self) -> None:
        """Asks it to end, and waits until it has. Harmless when it has ended."""
        if self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                # Whatever it still prints must not keep it from ending.
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
async def child(
    name: str,
    arguments: Sequence[str],
    ready: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    program: str = sys.executable,
) -> AsyncIterator[Child]:
    """`python ARGUMENT…` once it has printed a line that starts with `ready`; ends with the block.

    Another `program` than this Python runs in its place.

    Raises:
        ChildFailed: it does not get ready.
    """
    log = folder / f"{name}.log"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**inherited, **(environment or {})},
        )
    started = Child(process, name, log)
    try:
        await started.until_ready(ready)
        yield started
    finally:
        await started.leave()
