"""Lines of the log that repeat themselves: of each kind one in a while, and how often it came."""

from collections.abc import Hashable

#: A kind has one line in this time.
EVERY_SECONDS = 10.0


class RepeatedLines:
    """Which lines are told. Pure; all times are seconds of one clock. Kinds must be few."""

    def __init__(self) -> None:
        #: Of each kind: when it was told, and how often it has come since.
        self._told: dict[Hashable, tuple[float, int]] = {}

    def missed(self, kind: Hashable, now: float) -> int | None:
        """Returns None if a line of this kind is not to be told now; otherwise, how many like it
        have not been told before."""
        told, missed = self._told.get(kind, (now - EVERY_SECONDS, 0))
        if now - told < EVERY_SECONDS:
            self._told[kind] = told, missed + 1
            return None
        self._told[kind] = now, 0
        return missed
