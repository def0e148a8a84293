"""Hints between replicas: what has changed goes out by NOTIFY after the commit. Nothing depends on
their arrival; whoever misses one is late by a poll."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import inf

import asyncpg

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.store.database import database_errors
from jobsvc.store.statement import sql

log = logging.getLogger(__name__)

_CHANNEL = "jobsvc"
#: A notification carries less than 8,000 bytes: 200 ids and their separators are 7,400.
_MAX_IDS = 200
_MAX_NAMES = 100
_RECONNECT_SECONDS = 1.0
_PROBE_SECONDS = 3.0
#: Longest wait for the database.
_ANSWER_SECONDS = 10.0
#: How often a replica says that it is there, and how long after that it counts as gone.
_PRESENCE_SECONDS = 1.0
_ABSENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hint:
    """Jobs whose status has changed, queues with a job that is ready, queues that were changed."""

    job_ids: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()


class Hints:
    """Sends and receives hints on connections of its own.

    Nothing is sent while no other replica is there to hear it: each says once a second that it
    is, and answers one that is new. Until that is clear, two seconds after the start, hints are
    sent.

    `on_hint` is called for every hint, at once for those of this replica.
    `on_gap` is called when hints may have been missed.
    """

    def __init__(
        self,
        dsn: str,
        server_id: str,
        on_hint: Callable[[Hint], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._dsn = dsn
        self._server_id = server_id
        self._on_hint = on_hint
        self._on_gap = on_gap
        self._job_ids: dict[str, None] = {}
        self._ready: dict[str, None] = {}
        self._declared: dict[str, None] = {}
        self._arrived = asyncio.Event()
        #: Set while LISTEN is known to work.
        self._probed = asyncio.Event()
        #: When this replica last heard itself.
        self._heard_itself = -inf
        #: When each other replica was heard of last.
        self._peers: dict[str, float] = {}
        #: From when on nobody is there who was not heard.
        self._alone_from = inf
        #: When to say next that this replica is there.
        self._present_at = 0.0

    def tell(
        self,
        job_ids: Iterable[str] = (),
        ready: Iterable[str] = (),
        declared: Iterable[str] = (),
    ) -> None:
        """Passes a hint on: to this replica now, to the others with the next notification."""
        hint = Hint(tuple(job_ids), tuple(ready), tuple(declared))
        if self._peers or asyncio.get_running_loop().time() < self._alone_from:
            self._job_ids.update(dict.fromkeys(hint.job_ids))
            self._ready.update(dict.fromkeys(hint.ready))
            self._declared.update(dict.fromkeys(hint.declared))
            self._arrived.set()
        self._on_hint(hint)

    async def run(self) -> None:
        """Sends and receives until cancelled, over lost connections."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(self._listen))
            tasks.create_task(self._keep(self._send))

    async def _keep(self, work: Callable[[asyncpg.Connection], object]) -> None:
        while True:
            try:
                with database_errors():
                    # A lost hint costs a poll, so its commit need not wait for the disk.
                    connection = await asyncpg.connect(
                        self._dsn,
                        timeout=_ANSWER_SECONDS,
                        server_settings={
                            "application_name": "jobsvc-hints",
                            "synchronous_commit": "off",
                        },
                    )
                    try:
                        await work(connection)  # type: ignore[misc]  # both are coroutines
                    finally:
                        connection.terminate()
            except DatabaseUnavailable:
                self._take()  # Late by a poll now; kept, they would only pile up.
                self._on_gap()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self, connection: asyncpg.Connection) -> None:
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        async with asyncio.timeout(_ANSWER_SECONDS):
            await connection.add_listener(_CHANNEL, self._receive)
        self._on_gap()
        self._probed.clear()
        self._alone_from = inf
        await connection.execute(
            "SELECT pg_notify($1, $2)",
            _CHANNEL,
            f"{self._server_id} p",
            timeout=_ANSWER_SECONDS,
        )
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._probed.wait()
        except TimeoutError:
            log.warning(
                "LISTEN is silent (a transaction pooler in between?): polling every second instead"
            )
        try:
            await self._until_silent(closed)
        finally:
            self._probed.clear()
            self._alone_from = inf

    async def _until_silent(self, closed: asyncio.Event) -> None:
        """Returns when the connection is closed, or is as good as dead: this replica does not hear
        itself any more."""
        while not closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_ABSENCE_SECONDS):
                    await closed.wait()
            silence = asyncio.get_running_loop().time() - self._heard_itself
            if self._probed.is_set() and silence > _ABSENCE_SECONDS:
                log.info("LISTEN has fallen silent; connecting anew")
                return

    async def _send(self, connection: asyncpg.Connection) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._present_at):
                    await self._arrived.wait()
            self._arrived.clear()
            messages = self._take()
            now = asyncio.get_running_loop().time()
            if now >= self._present_at:
                self._present_at = now + _PRESENCE_SECONDS
                messages.append(f"{self._server_id} p")
                self._peers = {p: t for p, t in self._peers.items() if now - t < _ABSENCE_SECONDS}
            if messages:
                await connection.fetch(sql("send_hints"), messages, timeout=_ANSWER_SECONDS)

    def _take(self) -> list[str]:
        messages = []
        for kind, found, most in (
            ("j", self._job_ids, _MAX_IDS),
            ("r", self._ready, _MAX_NAMES),
            ("d", self._declared, _MAX_NAMES),
        ):
            words = list(found)
            for start in range(0, len(words), most):
                messages.append(f"{self._server_id} {kind} {' '.join(words[start : start + most])}")
            found.clear()
        return messages

    def _receive(self, _connection: object, _pid: int, _channel: str, message: object) -> None:
        sender, kind, rest = (*str(message).split(" ", 2), "", "")[:3]
        if sender == self._server_id:
            if kind == "p":
                self._heard_itself = asyncio.get_running_loop().time()
                if not self._probed.is_set():
                    self._probed.set()
                    # Others have yet to answer.
                    self._alone_from = self._heard_itself + 2 * _PRESENCE_SECONDS
            return
        if sender not in self._peers:
            self._present_at = 0.0  # A new one is to know of this one at once.
            self._arrived.set()
        self._peers[sender] = asyncio.get_running_loop().time()
        if kind == "j":
            self._on_hint(Hint(job_ids=tuple(rest.split())))
        elif kind == "r":
            self._on_hint(Hint(ready=tuple(rest.split())))
        elif kind == "d":
            self._on_hint(Hint(declared=tuple(rest.split())))
