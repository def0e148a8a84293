"""Deaf workers: they acknowledge nothing of what is dispatched to them. Pure."""

#: Time of a worker's second trial after its stream ended; each later one takes twice as long.
FIRST_PAUSE_SECONDS = 2.0
MAX_PAUSE_SECONDS = 300.0


class DeafWorkers:
    """The workers whose streams have ended because they were deaf, and since then did not hear.

    Their next stream is a trial: it gets one job, and more when that is acknowledged. The first
    trial begins at once, the others after growing pauses.
    """

    def __init__(self) -> None:
        #: How often each was found deaf, and when its next trial begins.
        self._found: dict[str, tuple[int, float]] = {}

    def add(self, worker_id: str, now: float) -> None:
        """Records that a worker was found deaf."""
        count, _ = self._found.pop(worker_id, (0, 0.0))
        pause = FIRST_PAUSE_SECONDS * 2.0 ** min(count - 1, 30) if count else 0.0
        self._found[worker_id] = count + 1, now + min(pause, MAX_PAUSE_SECONDS)
        # Those that never came back, the oldest first.
        for other, (_, trial_time) in list(self._found.items()):
            if trial_time + 2 * MAX_PAUSE_SECONDS >= now:
                break
            del self._found[other]

    def forgive(self, worker_id: str) -> None:
        """Records that a worker has passed its trial."""
        self._found.pop(worker_id, None)

    def trial_time(self, worker_id: str) -> float | None:
        """Returns when the trial of a worker begins; None if it needs none."""
        found = self._found.get(worker_id)
        return None if found is None else found[1]
