"""How long short calls may hold up long work. Pure: the clock's reading is an argument."""

from typing import Generic, TypeVar

#: While short calls come without end, long work has a piece so often.
MOST_HELD_SECONDS = 0.02
#: A call that is older than this waits for something itself, and holds up nobody.
SHORT_SECONDS = 0.1

Call = TypeVar("Call")


class ShortCalls(Generic[Call]):
    """The calls in progress that should end before the next piece of long work.

    A short call waits for the database once or twice; with a piece of long work in each of these
    moments, it would take several times as long.
    """

    def __init__(self) -> None:
        #: When each began, in that order.
        self._began: dict[Call, float] = {}
        #: When the last piece of long work began.
        self.last_piece = 0.0

    def enter(self, call: Call, now: float) -> None:
        """A short call began."""
        self._began[call] = now

    def leave(self, call: Call) -> bool:
        """A call has ended or is not short, if it ever was. Says whether it was the last one."""
        return self._began.pop(call, None) is not None and not self._began

    def hold_seconds(self, now: float) -> float:
        """How long the next piece has to wait, unless the last short call leaves before."""
        while self._began:
            oldest = next(iter(self._began))
            if now - self._began[oldest] < SHORT_SECONDS:
                return max(self.last_piece + MOST_HELD_SECONDS - now, 0.0)
            del self._began[oldest]
        return 0.0
