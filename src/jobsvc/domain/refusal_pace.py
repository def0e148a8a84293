"""How late a caller that is refused again and again hears of it. No I/O; the clock's reading is an
argument."""

#: Refusals of one caller that are answered at once, and how many more each second. With a full one
#: for each call that is made again at once, one caller could keep a core busy.
AT_ONCE = 100
PER_SECOND = 100
#: No refusal is later than that.
MOST_SECONDS = 5.0

#: Callers that are remembered before those are forgotten that are not late any more.
_MAX_CALLERS = 1000


class RefusalPace:
    """When the refusals of each caller are due: so many at once, the others one after the other,
    and what would be too late after `MOST_SECONDS`."""

    def __init__(self) -> None:
        #: When the last refusal of each caller is due.
        self._last_due: dict[str, float] = {}

    def __len__(self) -> int:
        """How many callers it remembers."""
        return len(self._last_due)

    def delay_seconds(self, caller: str, now: float) -> float:
        """Counts one more refusal of a caller, and returns how late it should be."""
        rested = now - AT_ONCE / PER_SECOND
        if len(self._last_due) >= _MAX_CALLERS:
            self._last_due = {c: due for c, due in self._last_due.items() if due > rested}
        due = max(self._last_due.get(caller, rested), rested) + 1 / PER_SECOND
        self._last_due[caller] = due = min(due, now + MOST_SECONDS)
        return max(due - now, 0.0)
