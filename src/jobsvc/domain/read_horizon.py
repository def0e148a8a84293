"""From when on changes must be read again, as transactions do not commit in the order of the times
that they write. Pure: clock and transaction numbers are the database's, and come in."""

from collections import deque
from datetime import datetime, timedelta

import msgspec

#: A time may be taken so long before its transaction has a number: a lock was waited for, or the
#: session did not run.
_EARLY = timedelta(seconds=1)


class Snapshot(msgspec.Struct, frozen=True):
    """What a statement could see: all transactions before the number `oldest_open`. `number` is
    above those of all that had begun, and at most those of all that began later.

    `time` is before the moment at which it was taken.
    """

    time: datetime
    oldest_open: int
    number: int


class ReadHorizon:
    """Bounds the changes that the next reading must look at.

    Readings follow each other, each of all changes since `since`. A transaction that the last one
    could not see has begun after the latest reading whose contemporaries have all ended since: so
    what it changed has a later time than that.
    """

    def __init__(self, first: Snapshot, overlap: timedelta, most: timedelta) -> None:
        """The first reading is of what changed `overlap` before it, for transactions that run then.
        None of ours runs longer than `most`: those of others must not keep all in sight."""
        self._most = most
        self._readings = deque([msgspec.structs.replace(first, time=first.time - overlap)])

    @property
    def since(self) -> datetime:
        """Changes before this time have been read."""
        return self._readings[0].time - _EARLY

    def has_read(self, snapshot: Snapshot) -> None:
        """Notes a reading since `since`, which began with this snapshot."""
        self._readings.append(snapshot)
        while len(self._readings) > 1 and (
            self._readings[1].number <= snapshot.oldest_open
            or snapshot.time - self._readings[0].time > self._most
        ):
            self._readings.popleft()
