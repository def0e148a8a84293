"""Limits the calls in progress, and refuses calls while the server drains."""

from jobsvc.domain.errors import JobsvcError, RateLimited, ServerDraining, StreamLimit
from jobsvc.domain.methods import Method
from jobsvc.settings import Settings


class CallLimit:
    """The most calls of a kind in progress. Beyond, a call is refused rather than queued.

    Entered once for each call.
    """

    def __init__(self, limit: int, refusal: type[JobsvcError], kind: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._kind = kind
        self._in_progress = 0

    def __enter__(self) -> None:
        """Counts one more call. Raises the refusal when the limit is reached."""
        if self._in_progress >= self._limit:
            raise self._refusal(f"the server has {self._limit} {self._kind} in progress; try again")
        self._in_progress += 1

    def __exit__(self, *_: object) -> None:
        """Counts one call fewer."""
        self._in_progress -= 1


class Admission:
    """The limits of a replica, and whether it drains."""

    def __init__(self, settings: Settings) -> None:
        #: The replica is about to exit: set once, never unset.
        self.draining = False
        self._calls = CallLimit(settings.max_calls, RateLimited, "calls")
        # Apart, so that waiting callers cannot keep workers from extending and reporting.
        self._waiting_calls = CallLimit(settings.max_calls, RateLimited, "waiting calls")
        #: Streams that only the server writes to.
        self.status_streams = CallLimit(settings.max_status_streams, StreamLimit, "status streams")
        #: Streams that both sides write to.
        self.worker_streams = CallLimit(settings.max_worker_streams, StreamLimit, "worker streams")

    def unary_limit(self, method: Method) -> CallLimit:
        """Returns the limit that counts the unary calls of a method."""
        return self._waiting_calls if method.waits else self._calls

    def check_draining(self, method: Method) -> None:
        """Refuses a call that a draining server does not serve.

        Raises:
            ServerDraining: the server is about to exit.
        """
        if self.draining and not method.served_while_draining:
            raise ServerDraining("the server is about to go; try again")
