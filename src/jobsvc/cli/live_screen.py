"""A screen that is read anew again and again, until somebody quits; the terminal is as before then.

A thread reads, so that keys and a new size of the window count at once, also while a server is
away.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from jobsvc.client import CallFailed

T = TypeVar("T")

#: How often keys and the size of the window are looked at.
_LOOK_SECONDS = 0.1
#: No answer for longer than this, beyond the interval, is told.
_PATIENCE_SECONDS = 1.5


class Reading(Generic[T]):
    """What was read last, while its block runs a thread that reads anew."""

    def __init__(self, first: T, read: Callable[[], T], interval_seconds: float) -> None:
        self.latest = first
        #: Grows with each reading.
        self.number = 0
        self._read = read
        self._interval_seconds = interval_seconds
        self._failure = ""
        self._answer_time = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reading", daemon=True)

    def __enter__(self) -> "Reading[T]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A call in progress ends with its client.
        self._ended.set()

    @property
    def trouble(self) -> str:
        """Why there is no newer reading; empty while all is well."""
        silent_seconds = time.monotonic() - self._answer_time
        if silent_seconds < self._interval_seconds + _PATIENCE_SECONDS:
            return ""
        return f"{self._failure or 'reconnecting'}, {silent_seconds:.0f} s"

    def _run(self) -> None:
        while not self._ended.wait(self._interval_seconds):
            try:
                self.latest = self._read()
            except CallFailed as failure:
                # Others than those of a server that is away say something.
                is_away = failure.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
                self._failure = "reconnecting" if is_away else failure.reason or failure.code
            except ValueError:  # the client is closed
                return
            else:
                self._failure, self._answer_time = "", time.monotonic()
                self.number += 1


def run_screen(
    console: Console,
    reading: Reading[T],
    draw: Callable[[T, str, int, int], Sequence[Text]],
) -> None:
    """Shows what `draw` makes of a reading, its trouble, and the size of the terminal, until `q` or
    Ctrl-C."""
    try:
        with (
            _keys() as pressed,
            reading,
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            shown: object = None
            while pressed() not in ("q", "Q", "\x03", "\x04"):
                size = console.size
                now = (reading.number, reading.trouble, size)
                if now != shown:
                    shown = now
                    lines = draw(reading.latest, reading.trouble, size.width, size.height)
                    live.update(Group(*lines), refresh=True)
    except KeyboardInterrupt:
        pass  # It is how one leaves.


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Yields a function that waits a moment for a key and returns it, empty without one. SIGTERM
    ends the block like Ctrl-C, so that the terminal is restored."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if sys.platform == "win32" or not sys.stdin.isatty():
            yield _no_key
            return
        import termios
        import tty

        descriptor = sys.stdin.fileno()
        settings = termios.tcgetattr(descriptor)
        try:
            # Keys come at once and are not shown; Ctrl-C is still a signal.
            tty.setcbreak(descriptor)
            yield lambda: _key(descriptor)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)
    finally:
        signal.signal(signal.SIGTERM, before)


def _no_key() -> str:
    time.sleep(_LOOK_SECONDS)
    return ""


def _key(descriptor: int) -> str:
    ready, _, _ = select.select([descriptor], [], [], _LOOK_SECONDS)
    if not ready:
        return ""
    # Nothing means that the terminal is gone.
    return os.read(descriptor, 1).decode(errors="replace") or "q"
