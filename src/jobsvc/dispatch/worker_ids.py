"""Worker ids: each belongs to one stream at a time, over all replicas, and goes from a stream to
the next only within one process."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from jobsvc.domain.errors import DatabaseFailure, WorkerIdInUse, WorkerReplaced
from jobsvc.store.store import Store
from jobsvc.store.workers import HeldId

#: How often the ids that are in use are saved.
_SAVE_SECONDS = 2.0
#: A stream that was not saved for this long is gone, with its replica.
_GONE_SECONDS = 3 * _SAVE_SECONDS
#: How long a new stream waits for one that may be about to end, and how often it looks.
_PATIENCE_SECONDS = 0.6
_FIRST_LOOK_SECONDS = 0.1
_LAST_LOOK_SECONDS = 0.4
_RETRY_SECONDS = 0.5


@dataclass(frozen=True, eq=False, slots=True)
class Holding:
    """A worker id in the hands of a stream. Who knows the token may take it over; the database has
    its digest only, so a comparison gives nothing away."""

    held: HeldId
    token: str = field(repr=False)


class WorkerIds:
    """The worker ids that streams of this replica have. `run` it while streams are served."""

    def __init__(self, store: Store, on_lost: Callable[[str], None]) -> None:
        """`on_lost` gets a worker id that its stream has lost to one of another replica."""
        self._store = store
        self._on_lost = on_lost
        self._here: dict[str, Holding] = {}
        self._ended: list[Holding] = []
        self._has_ended = asyncio.Event()

    async def take(
        self, worker_id: str, token: str, prove: Callable[[], Awaitable[bool]]
    ) -> Holding:
        """Takes a worker id for a new stream; it must be released. `token` is that of the stream
        before, or empty. `prove` is asked, if need be, whether this is the worker all the same.

        Raises:
            WorkerIdInUse: another stream has it.
            DatabaseFailure: it may or may not have been taken.
        """
        token = token or secrets.token_urlsafe(16)
        digest = hashlib.sha256(token.encode()).digest()
        holding = Holding(HeldId(worker_id, secrets.token_hex(8), digest), token)
        try:
            await self._take(holding.held, prove)
        except WorkerIdInUse:
            raise
        except BaseException:
            self.release(holding)
            raise
        self._here[worker_id] = holding
        return holding

    async def _take(self, held: HeldId, prove: Callable[[], Awaitable[bool]]) -> None:
        began = time.monotonic()
        look_seconds = _FIRST_LOOK_SECONDS
        is_proven: bool | None = None
        first_seen: datetime | None = None
        while True:
            await self._release_ended()
            # A stream that is here is not gone, however long the database was away.
            is_here = self._is_taken_here(held)
            if (is_proven or not is_here) and await self._store.workers.take_id(
                held, bool(is_proven), _GONE_SECONDS
            ):
                return
            if is_proven is None:
                is_proven = await prove()
                continue
            seen = None if is_here else await self._store.workers.id_seen(held.worker_id)
            first_seen = first_seen or seen
            # One of another replica lives if it is saved again; a killed replica saves nothing.
            is_living = is_here or seen not in (None, first_seen)
            if time.monotonic() - began >= (_PATIENCE_SECONDS if is_living else 2 * _GONE_SECONDS):
                raise WorkerIdInUse(held.worker_id)
            await asyncio.sleep(look_seconds)
            look_seconds = min(2 * look_seconds, _LAST_LOOK_SECONDS)

    def _is_taken_here(self, held: HeldId) -> bool:
        """Whether a stream of another process has the id on this replica."""
        here = self._here.get(held.worker_id)
        return here is not None and not hmac.compare_digest(
            here.held.token_digest, held.token_digest
        )

    def check(self, holding: Holding) -> None:
        """Checks that the stream still has its id.

        Raises:
            WorkerReplaced: another stream has taken it over.
        """
        if self._here.get(holding.held.worker_id) is not holding:
            raise WorkerReplaced("another stream of this worker took over")

    def release(self, holding: Holding) -> None:
        """Lets go of a worker id: the stream has ended. Never waits for the database."""
        if self._here.get(holding.held.worker_id) is holding:
            del self._here[holding.held.worker_id]
        self._ended.append(holding)
        self._has_ended.set()

    async def run(self) -> None:
        """Saves which ids are in use, and releases the others, until cancelled."""
        save_time = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, save_time - time.monotonic())):
                    await self._has_ended.wait()
            try:
                await self._release_ended()
                if time.monotonic() >= save_time:
                    await self._save()
                    save_time = time.monotonic() + _SAVE_SECONDS
            except DatabaseFailure:
                await asyncio.sleep(_RETRY_SECONDS)

    async def flush(self) -> None:
        """Releases at once what has ended, for a server that is about to go."""
        with suppress(DatabaseFailure, TimeoutError):
            async with asyncio.timeout(_GONE_SECONDS):
                await self._release_ended()

    async def _release_ended(self) -> None:
        ended, self._ended = self._ended, []
        self._has_ended.clear()
        if ended:
            try:
                await self._store.workers.release_ids([holding.held for holding in ended])
            except BaseException:
                self._ended += ended
                self._has_ended.set()
                raise

    async def _save(self) -> None:
        here = list(self._here.values())
        if here:
            kept = await self._store.workers.keep_ids([holding.held for holding in here])
            for holding in here:
                worker_id = holding.held.worker_id
                if worker_id not in kept and self._here.get(worker_id) is holding:
                    del self._here[worker_id]
                    self._on_lost(worker_id)
