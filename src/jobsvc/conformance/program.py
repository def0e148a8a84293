"""The program under test, as a process."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

#: Placeholders in the words of a command.
PLACEHOLDERS = ("{address}", "{host}", "{port}")


class CommandUnusable(Exception):
    """The command cannot be started. The text says why."""


def check(command: Sequence[str]) -> None:
    """Raises CommandUnusable where the program of a command is not there."""
    if shutil.which(command[0]) is None:
        raise CommandUnusable(f"{command[0]}: there is no such program")


def fill(command: Sequence[str], host: str, port: int) -> list[str]:
    """Returns a command with its placeholders replaced. Pure."""
    values = (f"{host}:{port}", host, str(port))
    filled = []
    for word in command:
        for placeholder, value in zip(PLACEHOLDERS, values, strict=True):
            word = word.replace(placeholder, value)
        filled.append(word)
    return filled


class Program:
    """A process in a group of its own, with its output in files of a folder."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal that ended it."""
        return self._process.returncode

    @property
    def output(self) -> str:
        """All whole lines of its standard output so far."""
        text = self._read("stdout")
        return text[: text.rfind("\n") + 1]

    @property
    def last_words(self) -> str:
        """The last line of its standard error that is not blank, or else of its output."""
        for name in ("stderr", "stdout"):
            lines = [line for line in self._read(name).splitlines() if line.strip()]
            if lines:
                return lines[-1].strip()
        return ""

    def terminate(self) -> None:
        """Sends SIGTERM to the process, as a supervisor does. Does not wait."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def kill(self) -> None:
        """Ends it and all that it has started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8", errors="replace")


def _inherited() -> dict[str, str]:
    # The kit speaks no TLS.
    return {k: v for k, v in os.environ.items() if k not in ("JOBSVC_TLS", "JOBSVC_CA")}


@asynccontextmanager
async def running(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> AsyncIterator[Program]:
    """A program that runs while the block does, with `environment` on top of that of this process.

    Raises:
        CommandUnusable: there is no such program.
    """
    folder.mkdir(parents=True)  # noqa: ASYNC240  # as short as it is to open its files
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**_inherited(), **environment},
                start_new_session=True,
            )
        except OSError as error:
            raise CommandUnusable(f"{command[0]}: {error.strerror}") from None
    program = Program(process, folder)
    try:
        yield program
    finally:
        await program.kill()
