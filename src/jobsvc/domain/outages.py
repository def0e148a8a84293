"""Outages: times in which no worker could report to this replica, which excuse its silence."""

from collections import deque
from datetime import datetime

#: A look that is later than this shows an outage. A shorter one costs a worker one extension at
#: most, and the shortest lease has time for two more.
LATE_SECONDS = 1.0


class Outages:
    """What the looks of this replica at its database say about outages. Pure.

    An outage ends with the first look, with a late one (the process, its event loop or the database
    stood still), and with one before which a write failed. Workers then have `wait_seconds` to come
    back. All times are the database's, so that a step of its clock is an outage, too.
    """

    def __init__(self, wait_seconds: float, look_interval_seconds: float) -> None:
        self._wait_seconds = wait_seconds
        self._max_seconds = look_interval_seconds + LATE_SECONDS
        #: Looks since a write failed, from the one with which the wait began: the time of each, and
        #: how many seconds this replica was there by then.
        self._looks: deque[tuple[datetime, float]] = deque()
        self._last_end: datetime | None = None
        self._is_leaving = False

    def looked(self, now: datetime, write_failed: bool) -> None:
        """Records a look at `now`. `write_failed` says whether the last write of workers' reports
        since the look before has failed."""
        looks = self._looks
        seconds = (now - looks[-1][0]).total_seconds() if looks else 0.0
        if write_failed or seconds < 0:
            looks.clear()
        if not looks or seconds > self._max_seconds:
            self._last_end = now
        # A late look counts in part, or a slow database would excuse everything forever.
        there_seconds = looks[-1][1] + min(seconds, self._max_seconds) if looks else 0.0
        looks.append((now, there_seconds))
        while len(looks) > 1 and there_seconds - looks[1][1] >= self._wait_seconds:
            looks.popleft()

    def leave(self) -> None:
        """Records that this replica is about to go: a worker that it loses cannot come back."""
        self._is_leaving = True

    def excuse(self, begin: datetime, end: datetime) -> bool:
        """Whether a worker that was silent from `begin` to `end`, when its lease ran out, may have
        had no chance to report."""
        if self._last_end is None or self._is_leaving:
            return True
        if self._last_end <= begin:
            return False
        first_time, first_seconds = self._looks[0]
        waited = self._looks[-1][1] - first_seconds >= self._wait_seconds
        return not waited or first_time < min(end, self._last_end)
