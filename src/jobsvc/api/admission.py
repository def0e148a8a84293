"""Limits the calls in progress, for each caller and for all of them, and refuses calls while the
server drains."""

from jobsvc.domain.errors import RateLimited, ServerDraining, StreamLimit
from jobsvc.domain.fair_limit import FairLimit
from jobsvc.domain.methods import Method
from jobsvc.settings import Settings


def caller_of(peer: str) -> str:
    """Who calls, for its share of the limits: the address of the peer (`ipv4:192.0.2.1:4711`)
    without its port. Callers behind one proxy are one: metadata that names them could be
    invented."""
    return peer.rpartition(":")[0]


class CallLimit:
    """The most calls of a kind in progress. Beyond, a call is refused rather than queued."""

    def __init__(self, limit: FairLimit, refusal: type[RateLimited], kind: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._kind = kind
        self._held: dict[str, int] = {}
        self._held_by_all = 0

    def enter(self, caller: str) -> None:
        """Counts one more call; `leave` must follow.

        Raises:
            RateLimited, StreamLimit: the caller has its share, or the server has no room.
        """
        held = self._held.get(caller, 0)
        if not self._limit.admits(held, self._held_by_all):
            self._refuse(held)
        self._held[caller] = held + 1
        self._held_by_all += 1

    def leave(self, caller: str) -> None:
        """Counts one call fewer."""
        self._held_by_all -= 1
        held = self._held[caller] - 1
        if held:
            self._held[caller] = held
        else:
            del self._held[caller]

    def _refuse(self, held: int) -> None:
        limit = self._limit.limit
        if self._held_by_all < limit:
            raise self._refusal(
                f"you have {held} {self._kind} in progress, your share of the server's {limit};"
                " try again",
                f"your share of {self._kind}",
            )
        raise self._refusal(
            f"the server has {limit} {self._kind} in progress; try again", self._kind
        )


class Admission:
    """The limits of a replica, and whether it drains."""

    def __init__(self, settings: Settings) -> None:
        #: The replica is about to exit: set once, never unset.
        self.draining = False
        self._reserved_percent = settings.reserved_percent
        self._max_calls = settings.max_calls
        self._calls = self._limit(settings.max_calls, RateLimited, "calls")
        #: Streams that only the server writes to.
        self.status_streams = self._limit(
            settings.max_status_streams, StreamLimit, "status streams"
        )
        #: Streams that both sides write to.
        self.worker_streams = self._limit(
            settings.max_worker_streams, StreamLimit, "worker streams"
        )

    def unary_limit(self, method: Method) -> CallLimit:
        """Returns the limit that counts the unary calls of a method. Ask once for each method."""
        if not method.waits:
            return self._calls
        # Apart, so that calls that wait cannot keep workers from extending and reporting, nor
        # workers from getting jobs.
        return self._limit(self._max_calls, RateLimited, f"{method.name} calls")

    def check_draining(self, method: Method) -> None:
        """Refuses a call that a draining server does not serve.

        Raises:
            ServerDraining: the server is about to exit.
        """
        if self.draining and not method.served_while_draining:
            raise ServerDraining("the server is about to go; try again")

    def _limit(self, limit: int, refusal: type[RateLimited], kind: str) -> CallLimit:
        return CallLimit(FairLimit.reserving(limit, self._reserved_percent), refusal, kind)
