"""One of several processes on a port, and its line to the parent."""

import ctypes
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple, Self

from jobsvc.http_server import Paths
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
#: How often the parent hears that the event loop turns, twice.
_PING_SECONDS = 2.0


class Terms(NamedTuple):
    """What the parent hands to a process when it has started it."""

    #: With the port that was chosen.
    settings: Settings
    #: Where the embedded PostgreSQL of the parent is, if there is one.
    embedded_dsn: str | None


class Parent(ServiceManager):
    """The parent, to which a process says what it would say to a service manager."""

    def __init__(self, line: socket.socket) -> None:
        super().__init__("the parent", _PING_SECONDS)
        line.setblocking(False)
        self._line = line

    def _send(self, data: bytes) -> None:
        self._line.send(data)


class Member:
    """This process, as one of several."""

    def __init__(
        self, index: int, terms: Terms, manager: ServiceManager, questions: Connection
    ) -> None:
        self.index = index
        self.terms = terms
        self.manager = manager
        self._questions = questions

    @classmethod
    def join(cls, text: str) -> Self:
        """Becomes the process that `Child.start` means by the text: it gets its settings from the
        parent, and ends when the parent is gone."""
        index, parent, line, questions = map(int, text.split(":"))
        _end_with(parent)
        connection = Connection(questions)
        try:
            terms: Terms = connection.recv()
        except EOFError:
            raise SystemExit from None
        return cls(index, terms, Parent(socket.socket(fileno=line)), connection)

    @contextmanager
    def answering(self, paths: Paths) -> Iterator[None]:
        """Answers the parent's questions by the functions of `paths`, on a thread of its own, from
        now on until the process ends."""
        threading.Thread(
            target=_answer, args=(self._questions, paths), name="parent's questions", daemon=True
        ).start()
        yield


def _answer(questions: Connection, paths: Paths) -> None:
    try:
        while True:
            number, path = questions.recv()
            answer_of = paths.get(path)
            questions.send((number, answer_of and answer_of()))
    except (EOFError, OSError):  # The parent is gone, and so is this process in a moment.
        return


def _end_with(parent: int) -> None:
    """Has the kernel kill this process when the parent is gone: nobody would replace it, stop it,
    or run its PostgreSQL. Exec clears no such wish, and setuid is not called here."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise SystemExit(0)
