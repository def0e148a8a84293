"""Limits the calls of one kind in progress, for each caller and for all of them."""

from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit, Holdings
from jobsvc.domain.identity import Identity


def caller_of(peer: str, identity: Identity | None = None) -> str:
    """Who calls, for its share of the limits: the service of an identity, else the address of the
    peer (`ipv4:192.0.2.1:4711`) without its port. Without identities, callers behind one proxy are
    one: metadata that names them could be invented."""
    # An address has no blank, so that no service is named as one.
    return f"service {identity.service}" if identity is not None else peer.rpartition(":")[0]


def refusal(
    error: type[RateLimited], held: Holdings, caller: str, kind: str, amount: int = 1
) -> RateLimited:
    """The error for a caller that may not take more of a kind, without a word on other callers."""
    limit = held.limit.limit
    if held.total + amount > limit:
        return error(f"the server has {limit} {kind} in progress; try again", kind)
    return error(
        f"you have {held.of(caller)} {kind} in progress, your share of the server's {limit};"
        " try again",
        f"your share of {kind}",
    )


class CallLimit:
    """The most calls of a kind in progress. Beyond, a call is refused rather than queued."""

    def __init__(self, limit: FairLimit, error: type[RateLimited], kind: str) -> None:
        self._held = Holdings(limit)
        self._error = error
        self._kind = kind

    def take(self, caller: str) -> bool:
        """Counts one more call, after which `leave` must follow, if the caller may have one more;
        says whether it may."""
        return self._held.take(caller)

    def enter(self, caller: str) -> None:
        """Counts one more call; `leave` must follow.

        Raises:
            RateLimited, StreamLimit: the caller has its share, or the server has no room.
        """
        if not self._held.take(caller):
            raise refusal(self._error, self._held, caller, self._kind)

    def move(self, counted: str, caller: str) -> bool:
        """Counts a call for another caller than before, if that one may have one more; says whether
        it may."""
        self._held.add(counted, -1)
        if self.take(caller):
            return True
        self._held.add(counted, 1)
        return False

    def leave(self, caller: str) -> None:
        """Counts one call fewer."""
        self._held.add(caller, -1)
