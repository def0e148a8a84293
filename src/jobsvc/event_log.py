"""Lines about events of which many may come at once: of each kind the first ones, and a count."""

import logging
import time
from collections.abc import Callable, Sequence
from math import inf

#: Lines of a kind within a window; those beyond are counted.
MAX_LINES = 10
WINDOW_SECONDS = 10.0
#: Names that a line lists.
MAX_NAMES = 5


class LineLimit:
    """Admits the first lines of each kind, window by window, and counts the others. Pure.

    All times are seconds of one clock. A window begins with its first line.
    """

    def __init__(self) -> None:
        #: Of each kind: the end of its window, the lines left in it, and those not admitted.
        self._windows: dict[str, tuple[float, int, int]] = {}

    def admits(self, kind: str, now: float) -> bool:
        """Whether a line may be written now; if not, it is counted."""
        end, left, missed = self._windows.get(kind, (-inf, 0, 0))
        if now >= end:
            end, left = now + WINDOW_SECONDS, MAX_LINES
        self._windows[kind] = (end, left - 1, missed) if left else (end, 0, missed + 1)
        return left > 0

    def take_missed(self, now: float) -> dict[str, int]:
        """Returns how many lines of each kind were not admitted, once their window is over."""
        over = {kind: missed for kind, (end, _, missed) in self._windows.items() if now >= end}
        for kind in over:
            del self._windows[kind]
        return {kind: missed for kind, missed in over.items() if missed}


class EventLog:
    """Writes events to a logger, with `event` and their values as attributes of the record: fields
    of the log as JSON."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._limit = LineLimit()
        self._levels: dict[str, int] = {}

    def tell(self, level: int, event: str, message: str, *values: object, **fields: object) -> None:
        """Writes a line, if there is room for one more of its kind."""
        self._levels[event] = level
        if self._limit.admits(event, self._clock()):
            self._log.log(level, message, *values, extra={"event": event, **fields})

    def tell_missed(self, at_end: bool = False) -> None:
        """Says how many lines found no room, once their window is over, or `at_end` of the process.
        To be called about once a second."""
        for event, count in self._limit.take_missed(inf if at_end else self._clock()).items():
            fields = {"event": event, "count": count}
            self._log.log(self._levels[event], "and %d more (%s)", count, event, extra=fields)


def some(names: Sequence[str], count: int) -> str:
    """The first of `count` names, and how many there are besides: "a, b and 7 more"."""
    more = count - len(names[:MAX_NAMES])
    text = ", ".join(names[:MAX_NAMES])
    return f"{text} and {more} more" if more else text
