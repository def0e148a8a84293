"""Which calls are let in: no more at once than the server can hold, and few while it drains."""

from jobsvc.domain.errors import JobsvcError, RateLimited, ServerDraining, StreamLimit
from jobsvc.domain.methods import Method
from jobsvc.settings import Settings


class Slots:
    """A bounded number of calls in hand. Beyond, a call is refused rather than queued.

    Entered once for each call.
    """

    def __init__(self, limit: int, refusal: type[JobsvcError], kind: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._kind = kind
        self._taken = 0

    def __enter__(self) -> None:
        """Takes a slot. Raises the refusal when there is none."""
        if self._taken >= self._limit:
            raise self._refusal(f"the server has {self._limit} {self._kind} in hand; try again")
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        """Frees the slot."""
        self._taken -= 1


class Admission:
    """The limits of a replica, and whether it drains."""

    def __init__(self, settings: Settings) -> None:
        #: The replica is about to exit: set once, never unset.
        self.draining = False
        self._calls = Slots(settings.max_calls, RateLimited, "calls")
        # Apart, so that waiting callers cannot keep workers from extending and reporting.
        self._waiting_calls = Slots(settings.max_calls, RateLimited, "waiting calls")
        #: Of streams that only the server writes to.
        self.status_streams = Slots(settings.max_status_streams, StreamLimit, "status streams")
        #: Of streams that both sides write to.
        self.worker_streams = Slots(settings.max_worker_streams, StreamLimit, "worker streams")

    def unary_slots(self, method: Method) -> Slots:
        """The slots that unary calls of a method take."""
        return self._waiting_calls if method.waits else self._calls

    def check_draining(self, method: Method) -> None:
        """Refuses a call that a draining server does not serve.

        Raises:
            ServerDraining: the server is about to exit.
        """
        if self.draining and not method.served_while_draining:
            raise ServerDraining("the server is about to go; try again")
