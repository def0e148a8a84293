"""When a wait for the end of a job is over. Pure: the clock's reading comes in."""

#: The longest wait that the server grants in one call.
MAX_CALL_SECONDS = 60.0
#: Time for the answer to arrive when the wait is over.
_ANSWER_SECONDS = 1.0


class WaitDeadline:
    """The end of a wait that begins at `now` and takes `timeout` seconds (None: forever).

    A wait of any length is made of calls of bounded length: `max_call_seconds`, and no longer
    than the server grants.
    """

    def __init__(
        self, timeout: float | None, now: float, max_call_seconds: float = MAX_CALL_SECONDS
    ) -> None:
        self.time = None if timeout is None else now + timeout
        self._max_call_seconds = min(MAX_CALL_SECONDS, max_call_seconds)

    def call_seconds(self, now: float) -> float:
        """Returns how long the next call may wait."""
        if self.time is None:
            return self._max_call_seconds
        return min(self._max_call_seconds, max(0.0, self.time - now))

    def answer_seconds(self, now: float, timeout: float) -> float:
        """Returns by when that call must be answered; `timeout` is that of calls that do not wait.

        A restarted server that gets the same call anew can take no longer than that.
        """
        seconds = self.call_seconds(now) + timeout
        if self.time is None:
            return seconds
        return min(seconds, max(0.0, self.time - now) + _ANSWER_SECONDS)

    def passed(self, now: float) -> bool:
        """Whether the wait is over, although the job has not ended."""
        return self.time is not None and now >= self.time
