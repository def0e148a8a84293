"""Where a point is played: the program, the port that it calls, and how facts are waited for."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from grpc import aio

from jobsvc.conformance.point import RuleBroken
from jobsvc.conformance.program import Program, fill, running

_HOST = "127.0.0.1"
#: Pause between two looks at a fact.
_LOOK_SECONDS = 0.02
#: A program may take this long to come, on a busy machine.
START_SECONDS = 30.0
#: For what the contract wants done without naming a time.
SOON_SECONDS = 20.0
#: What a busy machine may add to a time that the contract names.
SLACK_SECONDS = 3.0


class Stage:
    """One conversation. Use it by `async with`; at its end the program is killed."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._stack = AsyncExitStack()
        self._server: aio.Server | None = None
        self._programs: list[Program] = []
        # Any: what a call returns.
        self._calls: set[asyncio.Task[Any]] = set()
        self.port = 0
        #: Whether the program may end by itself.
        self.may_end = False
        #: A rule of every frame and request that the program broke; empty while there is none.
        self.violation = ""

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        # The calls of a program that was killed end by themselves.
        if self._calls:
            await asyncio.wait(self._calls, timeout=SLACK_SECONDS)
        await self.stop_listening()

    @property
    def address(self) -> str:
        """The address that the program is given, HOST:PORT."""
        return f"{_HOST}:{self.port}"

    @property
    def program(self) -> Program:
        """The program that was started last."""
        return self._programs[-1]

    @property
    def last_words(self) -> str:
        """What the program wrote last; empty if none was started."""
        return self._programs[-1].last_words if self._programs else ""

    async def start(self) -> Program:
        """Starts the program.

        Raises:
            CommandUnusable: there is no such program.
        """
        command = fill(self._command, _HOST, self.port)
        environment = {"JOBSVC_TARGET": self.address}
        folder = self._folder / str(len(self._programs))
        program = await self._stack.enter_async_context(running(command, environment, folder))
        self._programs.append(program)
        return program

    async def listen(self) -> None:
        """Serves, on the same port each time."""
        self._server = aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
                ("grpc.keepalive_permit_without_calls", 1),
            ]
        )
        self._add_services(self._server)
        self.port = self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop_listening(self) -> None:
        """Cuts all connections and closes the port."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    async def refuse_connections(self, seconds: float) -> list[float]:
        """Closes every connection to the port at once for so long; returns when they came, in
        seconds from the beginning."""
        await self.stop_listening()
        begin, came = time.monotonic(), list[float]()

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(time.monotonic() - begin)
            writer.close()

        server = await asyncio.start_server(refuse, _HOST, self.port)
        async with server:
            await asyncio.sleep(seconds)
        await self.listen()
        return came

    async def until(self, fact: Callable[[], object], within: float, what: str) -> None:
        """Waits for a fact.

        Raises:
            RuleBroken: there is no `what` within so many seconds, the program has ended, or it
                has broken a rule of every frame.
        """
        deadline = time.monotonic() + within
        while not fact():
            self._check()
            if time.monotonic() > deadline:
                raise RuleBroken(f"no {what} within {within:g} s")
            await asyncio.sleep(_LOOK_SECONDS)
        self._check()

    async def never(self, fact: Callable[[], object], seconds: float, what: str) -> None:
        """Waits so long, in which the fact must not come true.

        Raises:
            RuleBroken: it did: `what` says what the program has done. Or as `until`.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._check()
            if fact():
                raise RuleBroken(what)
            await asyncio.sleep(_LOOK_SECONDS)

    def require(self, fact: object, what: str) -> None:
        """Raises RuleBroken, with `what` was seen, unless the fact is true."""
        if not fact:
            raise RuleBroken(what)

    def note_call(self) -> None:
        """Notes that the current task serves a call of the program."""
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _check(self) -> None:
        if self.violation:
            raise RuleBroken(self.violation)
        if self.may_end or not self._programs:
            return
        code = self.program.exit_code
        if code is not None:
            raise RuleBroken(f"it ended with exit code {code}")

    def _add_services(self, server: grpc.aio.Server) -> None:
        raise NotImplementedError
