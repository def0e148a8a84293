"""How many leases a worker wants to hold. Pure."""

from math import inf

#: The window grows again after so long without a lease that waited for too long.
CALM_SECONDS = 10.0


class Window:
    """The window as it was asked for, and smaller after leases have waited for too long in it."""

    def __init__(self, concurrency: int, leases: int) -> None:
        self._least = min(concurrency, leases)
        self._most = self._leases = leases
        self._grow_at = inf
        #: Whether the worker takes no more jobs: for good, or while its event loop is blocked.
        self.retired = False
        self.paused = False

    @property
    def leases(self) -> int:
        """The most leases to hold now."""
        return 0 if self.retired or self.paused else self._leases

    def shrink(self, leases: int, now: float) -> None:
        """Narrows it to `leases`, those that are left, though not below the concurrency.

        Otherwise the jobs that were just handed back would come again, and wait again.
        """
        self._leases = max(self._least, min(self._leases, leases))
        self._grow_at = now + CALM_SECONDS

    def grow(self, now: float) -> None:
        """Doubles it, up to what was asked for, if it was calm for long enough."""
        if now >= self._grow_at:
            self._leases = min(self._most, 2 * self._leases)
            self._grow_at = inf if self._leases == self._most else now + CALM_SECONDS
