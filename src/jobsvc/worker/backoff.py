"""How long to wait before trying again, and how often to say so. Pure."""

FIRST_SECONDS = 0.05
LONGEST_SECONDS = 5.0
#: A connection that lived this long was a good one: start over.
GOOD_SECONDS = 5.0
#: Trouble that lasts is mentioned once in this time.
REMINDER_SECONDS = 10.0


class Backoff:
    """Exponential backoff with full jitter: 0 to 0.05 s first, 0 to 5 s in the end."""

    def __init__(self) -> None:
        self._failures = 0

    def delay_seconds(self, draw: float) -> float:
        """The next wait; `draw` is a random number from 0 to 1."""
        ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return ceiling * draw

    def reset(self) -> None:
        """Things went well."""
        self._failures = 0


class Reminder:
    """Says when to mention lasting trouble: at once, then every ten seconds."""

    def __init__(self) -> None:
        self._said: float | None = None

    def due(self, now: float) -> bool:
        """Whether to mention it at `now`; if so it counts as mentioned."""
        if self._said is not None and now - self._said < REMINDER_SECONDS:
            return False
        self._said = now
        return True

    def reset(self) -> None:
        """The trouble is over; the next one is mentioned at once."""
        self._said = None
