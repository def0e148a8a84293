"""How often lasting trouble is logged. Pure."""

INTERVAL_SECONDS = 10.0


class LogThrottle:
    """Says when to log lasting trouble: at once, then every ten seconds."""

    def __init__(self) -> None:
        self._logged_at: float | None = None

    def due(self, now: float) -> bool:
        """Whether to log it at `now` (seconds on any clock); if so it counts as logged."""
        if self._logged_at is not None and now - self._logged_at < INTERVAL_SECONDS:
            return False
        self._logged_at = now
        return True

    def reset(self) -> None:
        """Forgets the trouble, which has ended; the next one is logged at once."""
        self._logged_at = None
