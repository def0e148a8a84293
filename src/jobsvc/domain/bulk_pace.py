"""How fast bulk operations go: as their callers ask, and out of the way of other work. Pure: the
clock's reading is an argument."""

import math
from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

#: Jobs of a batch: few enough that its statements take some 50 ms, and far fewer while others work.
MAX_JOBS = 1000
MAX_JOBS_BUSY = 500
#: The share of time that all operations together use while others work.
BUSY_SHARE = 0.1
#: So many jobs created or leased in a second are work of others.
BUSY_JOBS_PER_SECOND = 20.0
#: What an operation with a rate may catch up on after it was held up.
_MAX_BURST = timedelta(seconds=1)
#: With a rate, a batch is the jobs of so much time.
_BATCH_SECONDS = 0.25
#: Counters are compared over this time: the database brings them up to date once a second.
_WINDOW = timedelta(seconds=2)


class Counters(NamedTuple):
    """What the database has counted of the whole installation, and this replica of its own."""

    time: datetime
    created: int
    leased: int
    #: Jobs that operations have retried here: that these are leased is no work of others.
    retried: int


class Traffic:
    """Whether others work, by counters that only rise. They fall when the database starts anew."""

    def __init__(self) -> None:
        self._seen: deque[Counters] = deque()

    def saw(self, counters: Counters) -> None:
        """Notes the counters of a moment."""
        if self._seen and counters.time <= self._seen[-1].time:
            return
        self._seen.append(counters)
        while len(self._seen) > 2 and counters.time - self._seen[1].time >= _WINDOW:
            self._seen.popleft()

    @property
    def is_busy(self) -> bool:
        """Whether jobs of others are created or leased. So it seems as long as it is unknown."""
        if len(self._seen) < 2:
            return True
        first, last = self._seen[0], self._seen[-1]
        created = last.created - first.created
        leased = last.leased - first.leased - (last.retried - first.retried)
        seconds = (last.time - first.time).total_seconds()
        return max(created, leased) > BUSY_JOBS_PER_SECOND * max(seconds, 1.0)


def batch_jobs(rate: float, is_busy: bool) -> int:
    """Returns how many jobs a batch may touch, for a rate of jobs a second (0 for none)."""
    most = MAX_JOBS_BUSY if is_busy else MAX_JOBS
    return min(max(math.ceil(rate * _BATCH_SECONDS), 1), most) if rate else most


def next_time(
    due: datetime, began: datetime, ended: datetime, touched: int, rate: float, share: float
) -> datetime:
    """Returns when the next batch is due, after one that was due at a time, and touched so many
    jobs from `began` to `ended`. `share` is the share of time that may be used, up to 1."""
    pause = (ended - began) * (1 / share - 1)
    paced = max(due, began - _MAX_BURST)
    if rate:
        paced += timedelta(seconds=touched / rate)
    return max(paced, ended + pause)


def share_of(is_busy: bool, running: int) -> float:
    """Returns the share of time of one of the `running` operations."""
    return BUSY_SHARE / max(running, 1) if is_busy else 1.0
