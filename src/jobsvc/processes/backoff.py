"""When a process that has ended is replaced. Pure."""

#: Who lived so long died of something new.
LONG_LIFE_SECONDS = 60.0
FIRST_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0


def next_delay(lived_seconds: float, last_delay: float) -> float:
    """Returns how many seconds to wait before a process is replaced, given for how long it lived
    and the wait before it (0 for the first one). A long life is followed by no wait; lives that
    are short, one after the other, by waits that double."""
    if lived_seconds >= LONG_LIFE_SECONDS:
        return 0.0
    return min(max(FIRST_DELAY_SECONDS, 2 * last_delay), MAX_DELAY_SECONDS)
