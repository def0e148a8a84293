"""How long a worker waits before it connects again, or offers a released job. Pure."""

import threading

FIRST_SECONDS = 0.05
MAX_SECONDS = 2.0
#: A connection that lived this long was a good one: the backoff starts over.
GOOD_SECONDS = 5.0
#: Delay of a job that its processor released, at first and at most.
FIRST_RELEASE_SECONDS = 1.0
MAX_RELEASE_SECONDS = 60.0


class Backoff:
    """Exponential backoff with full jitter: 0 to 0.05 s at first, 0 to 2 s at last."""

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


class ReleaseBackoff:
    """Delays the jobs of a queue whose processor releases one after the other: 1, 2, 4 … 60 s.

    Releases during a delay do not double it, so a burst of jobs counts once. Any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Releases in a row, delay, end of the delay.
        self._queues: dict[str, tuple[int, float, float]] = {}

    def note(self, queue: str, now: float) -> tuple[int, float]:
        """Returns how many releases of the queue came in a row, this one included, and the delay.

        `now` is in seconds, on any clock.
        """
        with self._lock:
            count, delay, until = self._queues.get(queue, (0, 0.0, now))
            if now >= until:
                delay = min(MAX_RELEASE_SECONDS, max(FIRST_RELEASE_SECONDS, 2 * delay))
                until = now + delay
            self._queues[queue] = (count + 1, delay, until)
            return count + 1, delay

    def reset(self, queue: str) -> None:
        """Starts over for the queue: an attempt ended otherwise."""
        self._queues.pop(queue, None)
