"""How much a worker sends on one stream, where a proxy limits what one call may carry. Pure."""

from math import inf

#: Limit after the first break: below nginx's client_max_body_size of 1 MiB, by more than the
#: acknowledgements that still follow a stream's last frame.
FIRST_BYTES = 1_000_000
#: A proxy that takes less than this in one call is not looked for.
MIN_BYTES = FIRST_BYTES // 16
#: How long a limit holds before a stream without one is tried; twice as long after each failure.
FIRST_PAUSE_SECONDS = 600.0
MAX_PAUSE_SECONDS = 86_400.0


class StreamAllowance:
    """Limits what goes out on one stream once streams break with frames on their way.

    The limit is 1,000,000 bytes or a half, quarter, eighth or sixteenth of it: the
    most that is less than what the broken stream had carried.
    """

    def __init__(self) -> None:
        self._limit_bytes = inf
        self._pause_seconds = FIRST_PAUSE_SECONDS / 2
        self._limited_until = -inf

    def limit_bytes(self, now: float) -> float:
        """Returns the limit of a stream that begins at `now` (seconds on any clock)."""
        return self._limit_bytes if now < self._limited_until else inf

    def note_break(self, sent_bytes: int, limit_bytes: float, now: float) -> bool:
        """Notes a stream that broke with frames on their way, after `sent_bytes` under the limit
        `limit_bytes`. Returns whether the streams to come have a lower limit."""
        if sent_bytes < MIN_BYTES or sent_bytes >= 2 * limit_bytes:
            # It broke for another reason; or it carried one frame that is too large by itself,
            # and smaller streams are no help.
            return False
        if limit_bytes == inf:
            self._pause_seconds = min(2 * self._pause_seconds, MAX_PAUSE_SECONDS)
        self._limited_until = now + self._pause_seconds
        self._limit_bytes = _step_below(min(sent_bytes, limit_bytes))
        return self._limit_bytes < limit_bytes


def _step_below(size_bytes: float) -> float:
    step = FIRST_BYTES
    while step > MIN_BYTES and step >= size_bytes:
        step //= 2
    return step
