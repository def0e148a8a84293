"""Servers and workers as processes that can be killed, frozen and asked to leave."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.probe import eventually

PROCESSORS = Path(__file__).with_name("processors.py")
_READY = "jobsvc listening on "
_SUBSCRIBED = " subscribed to "


class Process:
    """A program, its output in files. Nothing of the user's settings reaches it."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]):
        folder.mkdir()
        self._folder = folder
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "OTEL_"))}
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env={**inherited, **environment},
            )
        self.pid = self._popen.pid

    def __str__(self) -> str:
        return self._folder.name

    @property
    def stdout(self) -> str:
        """Its output so far."""
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        """Its log so far."""
        return (self._folder / "stderr").read_text()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal that killed it."""
        return self._popen.poll()

    def kill(self) -> None:
        """kill -9, and sees it dead."""
        self._popen.kill()
        self._popen.wait(10)

    def freeze(self) -> None:
        """SIGSTOP."""
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._popen.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM; does not wait."""
        self._popen.terminate()

    def hang_up(self) -> None:
        """SIGHUP."""
        self._popen.send_signal(signal.SIGHUP)

    def interrupt(self) -> None:
        """SIGINT, as by Ctrl-C; does not wait."""
        self._popen.send_signal(signal.SIGINT)

    async def exited(self, seconds: float) -> int:
        """Waits until it has ended by itself, and returns the exit code."""
        await eventually(
            lambda: self.exit_code is not None, seconds=seconds, what=f"end of {self._folder.name}"
        )
        assert self.exit_code is not None
        return self.exit_code

    async def says(self, seconds: float, *texts: str) -> None:
        """Waits until it has logged or printed one of these."""

        def said() -> bool:
            return any(text in output for output in (self.stderr, self.stdout) for text in texts)

        name = self._folder.name
        await eventually(
            said,
            seconds=seconds,
            what=lambda: f"{texts} from {name}, which says {self.stderr[-2000:]}",
        )

    async def _line(self, text: str, seconds: float) -> str:
        def find() -> str:
            if self.exit_code is not None:
                raise AssertionError(f"ended with {self.exit_code}: {self.stderr[-2000:]}")
            return next(
                (s for s in self.stdout.splitlines(True) if text in s and s[-1] == "\n"), ""
            )

        return (
            await eventually(find, seconds=seconds, what=f"{text!r} from {self._folder.name}")
        ).strip()


class Server(Process):
    """`jobsvc serve`."""

    port = 0

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def ready(self, seconds: float = 60.0) -> None:
        """Waits for the line that says where it listens."""
        line = await self._line(_READY, seconds)
        self.port = int(line.rpartition(":")[2])

    async def has_looked_at_lapsed_leases(self) -> None:
        """Waits until it has found leases that ran out, whatever it thought of them."""
        await self.says(30, "ran out over an outage", ": rescued ")


class Worker(Process):
    """`python -m jobsvc.worker`, with the processors of processors.py."""

    id = ""

    async def ready(self, seconds: float = 60.0) -> None:
        """Waits until it is subscribed."""
        line = await self._line(_SUBSCRIBED, seconds)
        self.id = line.split()[2]
