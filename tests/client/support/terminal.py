"""A program in a terminal of its own, a pseudo-terminal."""

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: Longest wait for what a program is to show.
_SECONDS = 60.0
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
#: A session takes the first terminal that it opens for the one whose Ctrl-C it obeys.
_PROGRAM = """
import os, runpy, sys
os.open(os.ttyname(0), os.O_RDWR)
sys.argv[0] = "jobsvc"
runpy.run_module("jobsvc", run_name="__main__")
"""


class Terminal:
    """The screen and the keys of a running program."""

    def __init__(self, process: "subprocess.Popen[bytes]", master: int, slave: int) -> None:
        self.process = process
        self._master = master
        self._slave = slave
        #: What the terminal did with keys before the program came.
        self.first_settings = self.settings
        #: All that was written.
        self.written = ""

    @property
    def settings(self) -> list[Any]:  # Any: as termios has them
        """What the terminal does with keys now."""
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, lines: int) -> None:
        """Gives the window another size."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)

    def press(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._master, keys.encode())

    def screen(self) -> list[str]:
        """The lines of the last whole screen that was drawn; each drawing begins at the top."""
        last = self.written.rpartition("\x1b[H")[2]
        return _SEQUENCE.sub("", last).replace("\r", "").split("\n")

    def until(self, shown: str, *, beside: str = "") -> list[str]:
        """Waits for a screen that shows a text, and does not show another one; returns it."""
        end = time.monotonic() + _SECONDS
        while not (
            shown in (text := "\n".join(self.screen())) and (not beside or beside not in text)
        ):
            assert time.monotonic() < end, f"{shown!r} not shown: {self.written[-3000:]!r}"
            self.read()
        return self.screen()

    def until_lines(self, count: int) -> list[str]:
        """Waits for a screen of so many lines, and returns it."""
        end = time.monotonic() + _SECONDS
        while len(self.screen()) != count:
            assert time.monotonic() < end, f"not {count} lines: {self.screen()}"
            self.read()
        return self.screen()

    def exit_code(self) -> int:
        """Waits for the end of the program, and returns its exit code."""
        end = time.monotonic() + _SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, self.written[-3000:]
            self.read()
        while self.read():
            pass
        return self.process.returncode

    def read(self) -> bool:
        """Takes in what is written now or in a moment. Returns whether there was anything."""
        ready, _, _ = select.select([self._master], [], [], 0.1)
        if ready:
            self.written += os.read(self._master, 65536).decode(errors="replace")
        return bool(ready)


@contextmanager
def terminal(
    environment: Mapping[str, str], *words: str, columns: int = 80, lines: int = 24
) -> Iterator[Terminal]:
    """Runs `jobsvc` with these words in a terminal of this size."""
    master, slave = os.openpty()
    unset = ("COLUMNS", "LINES", "NO_COLOR", "JOBSVC_TRACE_DIR")
    own = {name: value for name, value in os.environ.items() if name not in unset}
    size = struct.pack("HHHH", lines, columns, 0, 0)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**own, "TERM": "xterm", **environment},
        start_new_session=True,
    ) as process:
        try:
            yield Terminal(process, master, slave)
        finally:
            process.kill()
            process.wait()
            os.close(master)
            os.close(slave)
