"""What has become of jobs since somebody last took the counts, by the true name of their queue: the
minutes of a queue's history. Beside the metrics, which give only the first queues a name."""

from collections.abc import Sequence

from jobsvc.telemetry.counting import count_sorted

#: Upper bounds of the buckets of wait and run times, in seconds; the last bucket has none. Each is
#: at most 1.5 times the one before from 1 ms on, which bounds the error of a percentile. Positions
#: are stored, so a boundary must never be put in between.
BOUNDARIES = (
    *(n / 1000 for n in (1, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 70)),
    *(n / 10 for n in (1, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 70)),
    *(10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0),
    *(60.0 * n for n in (1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30, 40)),
    *(3600.0 * n for n in (1, 1.5, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 144, 168)),
)


class QueueTally:
    """The counts of one queue. `wait` and `run` are histograms, `failed` is by reason."""

    __slots__ = ("cancelled", "completed", "created", "failed", "retried", "run", "wait")

    def __init__(self) -> None:
        self.created = 0
        self.completed = 0
        self.cancelled = 0
        self.retried = 0
        self.failed: dict[str, int] = {}
        self.wait = [0] * (len(BOUNDARIES) + 1)
        self.run = [0] * (len(BOUNDARIES) + 1)

    def waited(self, seconds: Sequence[float]) -> None:
        """Counts waits, in ascending order."""
        count_sorted(self.wait, BOUNDARIES, seconds)

    def ran(self, seconds: Sequence[float]) -> None:
        """Counts runs, in ascending order."""
        count_sorted(self.run, BOUNDARIES, seconds)

    def fail(self, count: int, reason: str) -> None:
        """Counts jobs that have failed for a reason."""
        self.failed[reason] = self.failed.get(reason, 0) + count


class JobTallies:
    """The counts of all queues of which there are any."""

    def __init__(self) -> None:
        self._tallies: dict[str, QueueTally] = {}

    def of(self, queue: str) -> QueueTally:
        """Returns the counts of a queue, to be added to at once: they may be taken later."""
        tally = self._tallies.get(queue)
        return self._tallies.setdefault(queue, QueueTally()) if tally is None else tally

    def take(self) -> dict[str, QueueTally]:
        """Returns the counts, and begins anew."""
        taken, self._tallies = self._tallies, {}
        return taken
