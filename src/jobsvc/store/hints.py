"""Hints between replicas: changes are announced by NOTIFY after their commit. Nothing depends on a
hint's arrival; a replica that misses one is late by a poll."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Any

import asyncpg

from jobsvc.domain.errors import DatabaseFailure
from jobsvc.domain.job import NewStatus
from jobsvc.settings import SCHEMA
from jobsvc.store.channel import API_KEYS, TIMELINE, channel_of
from jobsvc.store.database import database_errors
from jobsvc.store.dsn import read_dsn
from jobsvc.store.servers import Servers
from jobsvc.store.statement import texts
from jobsvc.store.trouble_log import TroubleLog
from jobsvc.telemetry.catalogue import HINTS_LAG, LISTENING
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)

_RECONNECT_SECONDS = 1.0
_PROBE_SECONDS = 3.0
#: Longest wait for the database.
_DATABASE_SECONDS = 10.0


class _Kind(StrEnum):
    """The second word of a notification, after the sender. Older and newer replicas share it."""

    JOBS = "j"
    READY = "r"
    DECLARED = "d"
    CANCELS = "c"
    ALIVE = "p"


#: Each kind that carries names, with its field of `Hint` and the most names in one notification,
#: which carries less than 8,000 bytes: 200 ids and their separators are 7,400.
_NAMES = {
    _Kind.JOBS: ("job_ids", 200),
    _Kind.READY: ("ready", 100),
    _Kind.DECLARED: ("declared", 100),
    _Kind.CANCELS: ("cancels", 100),
}


#: With ALIVE: somebody watches jobs on that replica. Older ones do not read it.
_WATCHING = "w"


@dataclass(frozen=True, slots=True)
class Hint:
    """Jobs whose status has changed, queues with a job that is ready, queues that were declared,
    leases of jobs whose cancellation was requested, API keys that were made or revoked. `known` has
    the new status of some of the jobs, by id, if the hint is of this replica."""

    job_ids: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    cancels: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = ()
    known: Mapping[str, NewStatus] = field(default_factory=dict)


class Hints:
    """Sends and receives hints on connections of its own.

    Nothing is sent while no other replica is there to hear it: each says that it
    is alive every `alive_seconds`, and replies at once to a new one; after
    `absence_seconds` of silence it counts as gone. Until that is clear, twice
    `alive_seconds` after the start, hints are sent.
    """

    def __init__(
        self,
        dsn: str,
        server_id: str,
        alive_seconds: float = 1.0,
        absence_seconds: float = 5.0,
        troubles: TroubleLog | None = None,
        schema: str = SCHEMA,
        can_listen: bool = True,
        servers: Servers | None = None,
        measurements: Measurements | None = None,
    ) -> None:
        """Without `can_listen`, hints reach this replica only. `servers` are those that the replica
        shares with its other connections."""
        self._dsn = read_dsn(dsn)
        self._servers = Servers(self._dsn, schema) if servers is None else servers
        self._server_id = server_id
        self._channel = channel_of(schema)
        self._send_hints = texts(schema)["send_hints"]
        self._alive_seconds = alive_seconds
        self._absence_seconds = absence_seconds
        self._troubles = TroubleLog() if troubles is None else troubles
        self._hint_listeners: list[Callable[[Hint], None]] = []
        self._gap_listeners: list[Callable[[], None]] = []
        #: Names that the next notifications carry.
        self._pending: dict[_Kind, dict[str, None]] = {kind: {} for kind in _NAMES}
        self._added = asyncio.Event()
        #: Set while LISTEN is known to work.
        self._probed = asyncio.Event()
        #: When this replica last heard itself.
        self._heard_itself = -inf
        #: When each other replica was last heard.
        self._peers: dict[str, float] = {}
        #: Whether jobs are watched on this replica, and the others where they are.
        self._is_watching = False
        self._watching_peers: set[str] = set()
        self._can_listen = can_listen
        #: Time after which every other replica must have been heard.
        self._alone_from = inf if can_listen else -inf
        self._is_silence_told = False
        #: When to say next that this replica is alive.
        self._next_alive_time = 0.0
        #: When the message was sent that this replica waits to hear; how long the last one took.
        self._unheard_since: float | None = None
        self._lag_seconds = 0.0
        if measurements is not None:
            measurements.gauge(LISTENING, lambda: [((), self._probed.is_set())])
            measurements.gauge(HINTS_LAG, lambda: [((), self._lag_seconds)])

    def listen(
        self, on_hint: Callable[[Hint], None], on_gap: Callable[[], None] | None = None
    ) -> None:
        """Calls `on_hint` for every hint from now on, at once for hints of this replica, and
        `on_gap` when hints may have been missed."""
        self._hint_listeners.append(on_hint)
        if on_gap is not None:
            self._gap_listeners.append(on_gap)

    def tell(
        self,
        job_ids: Iterable[str] = (),
        ready: Iterable[str] = (),
        declared: Iterable[str] = (),
        cancels: Iterable[str] = (),
        known: Mapping[str, NewStatus] | None = None,
    ) -> None:
        """Passes a hint on: to this replica now, with the new status of jobs if it is `known`; to
        the others with the next notification, without."""
        hint = Hint(
            tuple(job_ids), tuple(ready), tuple(declared), tuple(cancels), known=known or {}
        )
        if self._peers or asyncio.get_running_loop().time() < self._alone_from:
            for kind, (name, _) in _NAMES.items():
                self._pending[kind].update(dict.fromkeys(getattr(hint, name)))
            self._added.set()
        self._pass_on(hint)

    @property
    def are_jobs_watched(self) -> bool:
        """Whether some replica wants to hear of new jobs, too."""
        return self._is_watching or bool(self._watching_peers)

    def watch_jobs(self, is_watching: bool) -> None:
        """Tells the other replicas whether this one wants to hear of new jobs."""
        self._is_watching = is_watching
        self._say_alive()

    def _say_alive(self) -> None:
        self._next_alive_time = 0.0
        self._added.set()

    async def until_probed(self) -> None:
        """Waits until LISTEN is known to work."""
        await self._probed.wait()

    async def run(self) -> None:
        """Sends and receives until cancelled, over lost connections."""
        if not self._can_listen:
            await asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(self._receive_on))
            tasks.create_task(self._keep(self._send_on))

    async def _keep(self, work: Callable[[asyncpg.Connection], object]) -> None:
        while True:
            try:
                with database_errors(self._dsn, self._troubles, "hints"):
                    connection = await self._servers.connect(
                        timeout=self._dsn.connect_seconds,
                        server_settings={
                            "application_name": self._dsn.application_name or "jobsvc-hints"
                        },
                    )
                    try:
                        # A lost hint costs a poll, so its commit need not wait for the disk.
                        await connection.execute(
                            "SET synchronous_commit = off", timeout=_DATABASE_SECONDS
                        )
                        if self._troubles:
                            self._troubles.worked("hints")
                        await work(connection)  # type: ignore[misc]  # both are coroutines
                    finally:
                        connection.terminate()
            except DatabaseFailure:
                self._take()  # Late by a poll now; kept, they would only pile up.
                self._tell_gap()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _receive_on(self, connection: asyncpg.Connection) -> None:
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        async with asyncio.timeout(_DATABASE_SECONDS):
            await connection.add_listener(self._channel, self._on_notification)
        self._tell_gap()
        self._unheard_since = None
        self._probed.clear()
        self._alone_from = inf
        # By the other connection: through a transaction pooler, one that listens hears itself.
        self._say_alive()
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await self._probed.wait()
        except TimeoutError:
            if not self._is_silence_told:
                log.warning("LISTEN is silent (a pooler in between?): polling every second instead")
            self._is_silence_told = True
        try:
            await self._until_silent(closed)
        finally:
            self._probed.clear()
            self._alone_from = inf

    async def _until_silent(self, closed: asyncio.Event) -> None:
        """Returns when the connection is closed or dead: this replica does not hear itself any
        more."""
        while not closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._absence_seconds):
                    await closed.wait()
            silence = asyncio.get_running_loop().time() - self._heard_itself
            if self._probed.is_set() and silence > self._absence_seconds:
                log.info("LISTEN has fallen silent; connecting anew")
                return

    async def _send_on(self, connection: asyncpg.Connection) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_alive_time):
                    await self._added.wait()
            self._added.clear()
            messages = self._take()
            if messages:
                log.debug("%d hints to other replicas", len(messages))
            now = asyncio.get_running_loop().time()
            if now >= self._next_alive_time:
                self._next_alive_time = now + self._alive_seconds
                messages.append(self._message(_Kind.ALIVE, *[_WATCHING] * self._is_watching))
                if self._unheard_since is None:
                    self._unheard_since = now
                self._forget_absent_peers(now)
            if messages:
                await connection.fetch(
                    self._send_hints, self._channel, messages, timeout=_DATABASE_SECONDS
                )

    def _forget_absent_peers(self, now: float) -> None:
        self._peers = {p: t for p, t in self._peers.items() if now - t < self._absence_seconds}
        self._watching_peers &= self._peers.keys()

    def _take(self) -> list[str]:
        """Removes and returns what is pending, as messages."""
        messages = []
        for kind, (_, max_names) in _NAMES.items():
            names = list(self._pending[kind])
            for start in range(0, len(names), max_names):
                messages.append(self._message(kind, *names[start : start + max_names]))
            self._pending[kind].clear()
        return messages

    def _message(self, kind: _Kind, *names: str) -> str:
        return " ".join((self._server_id, kind, *names))

    def _on_notification(
        self, _connection: object, _pid: int, _channel: str, message: object
    ) -> None:
        sender, kind, rest = (*str(message).split(" ", 2), "", "")[:3]
        if sender == self._server_id:
            if kind == _Kind.ALIVE:
                self._hear_itself()
            return
        if kind == TIMELINE:
            self._servers.timelines.hear(*map(int, rest.split()))
            return
        if kind == API_KEYS:
            self._pass_on(Hint(api_keys=tuple(rest.split())))
            return
        if sender not in self._peers:
            self._say_alive()  # A new replica must know of this one at once.
        self._peers[sender] = asyncio.get_running_loop().time()
        if kind == _Kind.ALIVE:
            (self._watching_peers.add if rest == _WATCHING else self._watching_peers.discard)(
                sender
            )
        for known, (name, _) in _NAMES.items():
            if kind == known:
                log.debug("hint of %s: %s %s", sender, kind.lower(), rest)
                fields: dict[str, Any] = {name: tuple(rest.split())}  # Any: fields of a Hint
                self._pass_on(Hint(**fields))

    def _hear_itself(self) -> None:
        self._heard_itself = asyncio.get_running_loop().time()
        if self._unheard_since is not None:
            self._lag_seconds = self._heard_itself - self._unheard_since
            self._unheard_since = None
        if not self._probed.is_set():
            self._probed.set()
            self._is_silence_told = False
            # The other replicas have yet to reply.
            self._alone_from = self._heard_itself + 2 * self._alive_seconds

    def _pass_on(self, hint: Hint) -> None:
        for listener in self._hint_listeners:
            listener(hint)

    def _tell_gap(self) -> None:
        for listener in self._gap_listeners:
            listener()
