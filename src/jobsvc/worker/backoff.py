"""How long a worker waits before it connects again. Pure."""

FIRST_SECONDS = 0.05
MAX_SECONDS = 5.0
#: A connection that lived this long was a good one: the backoff starts over.
GOOD_SECONDS = 5.0


class Backoff:
    """Exponential backoff with full jitter: 0 to 0.05 s at first, 0 to 5 s at last."""

    def __init__(self) -> None:
        self._failures = 0

    def delay_seconds(self, draw: float) -> float:
        """Returns the next wait; `draw` is a random number from 0 to 1."""
        ceiling = min(MAX_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return ceiling * draw

    def reset(self) -> None:
        """Starts over, after success."""
        self._failures = 0
