"""Writes what this replica has counted, minute by minute, for the history of its queues."""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, NoReturn

from jobsvc.domain.errors import DatabaseFailure
from jobsvc.domain.queue_history import CountedMinute, counted_minute
from jobsvc.store.repeat import repeat
from jobsvc.store.store import Store
from jobsvc.telemetry.job_tallies import JobTallies

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_MINUTE = 60.0
#: Minutes that wait while the database is away; older ones are given up.
_MAX_WAITING = 60


class _Waiting(NamedTuple):
    write_id: int
    #: The middle of the minute, by the clock of this process.
    middle: float
    counted: CountedMinute


class QueueHistoryWriter:
    """Writes the counts of each minute once it is over, by the clock of the database.

    What a killed replica has counted since the last full minute is lost; what cannot be written
    waits for an hour.
    """

    def __init__(
        self, store: Store, tallies: JobTallies, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._tallies = tallies
        self._clock = clock
        self._waiting: deque[_Waiting] = deque(maxlen=_MAX_WAITING)
        #: When this minute of the database began, and when it will be over; the latter is not known
        #: before the clock has been read.
        self._began = clock()
        self._turn = 0.0
        #: Held to write: the loop and the end may want to at the same time.
        self._writing = asyncio.Lock()

    async def run(self) -> NoReturn:
        """Writes until cancelled."""
        await repeat(_LOOK_SECONDS, self.write_due)

    async def write_due(self) -> int:
        """Writes the minute that is over, if one is. Returns 0."""
        if not self._turn:
            self._set_turn(await self._store.upkeep.clock())
        if self._clock() >= self._turn:
            self._take()
            self._turn += _MINUTE
        await self._write()
        return 0

    async def flush(self) -> None:
        """Writes all there is, at the end."""
        self._take()
        try:
            await self._write()
        except DatabaseFailure:
            log.warning("the counts of the last %d minutes are lost", len(self._waiting))

    def _take(self) -> None:
        now = self._clock()
        counted = counted_minute(self._tallies.take())
        if counted is not None:
            middle = (self._began + now) / 2
            self._waiting.append(_Waiting(secrets.randbits(63), middle, counted))
        self._began = now

    async def _write(self) -> None:
        async with self._writing:
            while self._waiting:
                write_id, middle, counted = first = self._waiting[0]
                age_seconds = self._clock() - middle
                now = await self._store.queue_history.add(write_id, age_seconds, counted)
                # Unless it has been given up meanwhile.
                if self._waiting[0] is first:
                    self._waiting.popleft()
                self._set_turn(now)

    def _set_turn(self, now: datetime) -> None:
        """Sets when the minute is over, which the clock of the database says."""
        self._turn = self._clock() + _MINUTE - now.timestamp() % _MINUTE
