"""One of several processes, as their parent knows it."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from jobsvc.http_server import Answer
from jobsvc.processes.member import Terms

log = logging.getLogger(__name__)

_MESSAGE_BYTES = 65_536


class Child:
    """A process that was started and has not been waited for."""

    def __init__(
        self,
        index: int,
        process: asyncio.subprocess.Process,
        line: socket.socket,
        questions: "Connection",
    ) -> None:
        """`start` makes them."""
        self.index = index
        self.pid = process.pid
        #: Whether it serves, or has served.
        self.has_served = False
        #: Whether it has set up what signals do to it.
        self.has_spoken = False
        #: How many looks ago it was last heard.
        self.silent_looks = 0
        self._process = process
        self._line = line
        self._questions = questions
        self._lock = threading.Lock()
        self._number = 0

    @classmethod
    async def start(cls, index: int, terms: Terms) -> Self:
        """Starts a process by exec. Call it on the main thread: the kernel kills the process when
        the *thread* that started it ends.

        Raises:
            OSError: the system does not let it.
        """
        line, its_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        questions, its_questions = Pipe()
        line.setblocking(False)
        files = its_line.fileno(), its_questions.fileno()
        member = ":".join(map(str, (index, os.getpid(), *files)))
        # Not what happens to lie in the working directory, unless this process looks there, too.
        safe_path = [] if {"", str(Path.cwd())} & set(sys.path) else ["-P"]
        with its_line, its_questions:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *safe_path,
                    *("-m", "jobsvc", "serve", "--member", member),
                    stdin=subprocess.DEVNULL,
                    pass_fds=files,
                    # Ctrl-C on the terminal is for the parent, which asks its processes to drain.
                    process_group=0,
                )
            except BaseException:
                line.close()
                questions.close()
                raise
        with suppress(OSError):  # It has ended already.
            questions.send(terms)
        return cls(index, process, line, questions)

    async def messages(self) -> AsyncIterator[list[str]]:
        """What it says, as a service manager would hear it, until it has ended."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await loop.sock_recv(self._line, _MESSAGE_BYTES):
                self.has_spoken = True
                self.silent_looks = 0
                yield data.decode().splitlines()

    async def ended(self) -> int:
        """Waits for its end, and returns the exit code: minus the number of a signal that killed
        it."""
        try:
            return await self._process.wait()
        finally:
            self._line.close()
            with self._lock:
                self._questions.close()

    def ask(self, path: str, seconds: float) -> Answer | None:
        """What it answers to a path of HTTP; None if it has no such path or does not answer in
        time. May be called by any thread."""
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            return None
        try:
            self._number += 1
            self._questions.send((self._number, path))
            while self._questions.poll(max(0.0, deadline - time.monotonic())):
                number, answer = self._questions.recv()
                if number == self._number:  # and no late answer to an earlier question
                    found: Answer | None = answer
                    return found
        except (EOFError, OSError):
            pass  # It is gone.
        finally:
            self._lock.release()
        return None

    def terminate(self) -> None:
        """Asks it to drain and to end."""
        self._signal(signal.SIGTERM)

    def reload(self) -> None:
        """Has it read again what can be read again, once it is able to: before, the signal would
        end it."""
        if self.has_spoken:
            self._signal(signal.SIGHUP)

    def kill(self) -> None:
        """Ends it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
