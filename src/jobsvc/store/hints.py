"""Hints between replicas: what has changed goes out by NOTIFY after the commit. Nothing depends on
their arrival; whoever misses one is late by a poll."""

import asyncio
import base64
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from jobsvc.errors import DatabaseUnavailable
from jobsvc.store.database import database_errors
from jobsvc.store.statement import sql

log = logging.getLogger(__name__)

_CHANNEL = "jobsvc"
#: A notification carries less than 8,000 bytes: 350 ids of 16 bytes in base64 are 7,468.
_MOST_IDS = 350
_MOST_NAMES = 100
_RECONNECT_SECONDS = 1.0
_PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Hint:
    """Jobs whose status has changed, queues with a job that is ready, queues that were changed."""

    job_ids: tuple[UUID, ...] = ()
    ready: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()


class Hints:
    """Sends and receives hints on connections of its own.

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
        self._job_ids: dict[UUID, None] = {}
        self._ready: dict[str, None] = {}
        self._declared: dict[str, None] = {}
        self._arrived = asyncio.Event()
        self._probed = asyncio.Event()

    def tell(
        self,
        job_ids: Iterable[UUID] = (),
        ready: Iterable[str] = (),
        declared: Iterable[str] = (),
    ) -> None:
        """Passes a hint on: to this replica now, to the others with the next notification."""
        hint = Hint(tuple(job_ids), tuple(ready), tuple(declared))
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
                        timeout=10,
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
        await connection.add_listener(_CHANNEL, self._receive)
        self._on_gap()
        self._probed.clear()
        await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, f"{self._server_id} p")
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._probed.wait()
        except TimeoutError:
            log.warning(
                "LISTEN is silent (a transaction pooler in between?): polling every second instead"
            )
        await closed.wait()

    async def _send(self, connection: asyncpg.Connection) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            messages = self._take()
            if messages:
                await connection.fetch(sql("send_hints"), messages, timeout=10)

    def _take(self) -> list[str]:
        messages = []
        ids, self._job_ids = list(self._job_ids), {}
        for start in range(0, len(ids), _MOST_IDS):
            packed = b"".join(job_id.bytes for job_id in ids[start : start + _MOST_IDS])
            messages.append(f"{self._server_id} j {base64.b64encode(packed).decode()}")
        for kind, names in (("r", list(self._ready)), ("d", list(self._declared))):
            for start in range(0, len(names), _MOST_NAMES):
                part = " ".join(names[start : start + _MOST_NAMES])
                messages.append(f"{self._server_id} {kind} {part}")
        self._ready, self._declared = {}, {}
        return messages

    def _receive(self, _connection: object, _pid: int, _channel: str, message: object) -> None:
        sender, kind, *rest = str(message).split(" ")
        if sender == self._server_id:
            if kind == "p":
                self._probed.set()
            return
        if kind == "j" and rest:
            packed = base64.b64decode(rest[0])
            ids = (UUID(bytes=packed[i : i + 16]) for i in range(0, len(packed), 16))
            self._on_hint(Hint(job_ids=tuple(ids)))
        elif kind == "r":
            self._on_hint(Hint(ready=tuple(rest)))
        elif kind == "d":
            self._on_hint(Hint(declared=tuple(rest)))
