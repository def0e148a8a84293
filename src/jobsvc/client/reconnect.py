"""How long a client goes on while its server is away. Pure: the clock's reading comes in."""

from jobsvc.client.errors import CallFailed
from jobsvc.domain.methods import method_named
from jobsvc.domain.retry import RetryPolicy, retry_delay_seconds

#: Pauses between tries to reconnect, 2 s at most: who waits is back soon after the server, however
#: long that was away. The tries are bounded by time, not by number.
RECONNECT = RetryPolicy(
    max_attempts=0,
    initial_backoff_seconds=0.2,
    max_backoff_seconds=1.6,
    backoff_multiplier=2.0,
)
#: How long a call is repeated; gRPC does it for as long (`channel.py`).
REPEAT_SECONDS = 7.0
#: Calls that are under way at a time, of many that belong together.
CALLS_AT_A_TIME = 2
#: Codes after which gRPC has repeated a call, if it may be repeated.
REPEATED_BY_GRPC = ("UNAVAILABLE", "CANCELLED")


def may_repeat(method: str, grpc_code: str, failure: CallFailed) -> bool:
    """Whether a failed call of a method (`package.Service/Method`) is left to us to repeat.

    A proxy's word for a server that is gone is UNAVAILABLE only here, so that gRPC, which has
    seen `grpc_code`, gave up at once.
    """
    return (
        failure.code == "UNAVAILABLE"
        and grpc_code not in REPEATED_BY_GRPC
        and method_named(method).repeatable
    )


def is_refused(failure: CallFailed) -> bool:
    """Whether the server has no room for a call just now: nothing was done, and the same call may
    be made again, whatever its method."""
    return failure.code == "RESOURCE_EXHAUSTED" and failure.transient


class ReconnectPolicy:
    """Counts the failures in a row, and says when to try again or to give up.

    The server may be away for `first_seconds` before its first answer (a wrong
    address should not take long to notice), and for `seconds` after an answer.
    No pause goes past the time `until`, if there is one.
    """

    def __init__(self, first_seconds: float, seconds: float, until: float | None = None) -> None:
        self._limit_seconds = first_seconds
        self._seconds = seconds
        self._until = until
        self._failures = 0
        self._away_since: float | None = None
        self._has_answered = False

    def answered(self) -> None:
        """Notes that the server is there; its earlier failures no longer count."""
        self._has_answered = True
        self._limit_seconds = self._seconds
        self._failures = 0
        self._away_since = None

    def pause_seconds(self, failure: CallFailed, now: float, spread: float) -> float | None:
        """Returns how long to wait before the next try; None to give up.

        `spread`, from -1 to 1 and drawn by the caller, keeps many clients from
        coming back in step. A stream that outlived its token is opened again at once, with a
        new one.
        """
        if failure.code == "UNAUTHENTICATED" and self._has_answered:
            self._has_answered = False
            return 0.0
        if self._away_since is None:
            self._away_since = now
        if not failure.transient or now - self._away_since >= self._limit_seconds:
            return None
        self._failures += 1
        delay = retry_delay_seconds(RECONNECT, self._failures, spread)
        # Never sooner than the server asks for; a crowd that it refused at once is spread, too.
        pause = max(delay, (failure.retry_delay_seconds or 0.0) * (1 + abs(spread) / 2))
        return None if self._until is not None and now + pause > self._until else pause
