"""Limits the calls of one kind in progress, for each caller and for all of them, and how often a
caller calls."""

import math
import time

from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit, Holdings
from jobsvc.domain.identity import Identity
from jobsvc.domain.share import Buckets, Rate

#: Delays are rounded up to hundredths of a second: refusals that are equal are made once.
_DELAYS_PER_SECOND = 100


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


def too_often(kind: str, rate: Rate, seconds: float) -> RateLimited:
    """The error for a caller that is beyond its rate of a kind for so many seconds."""
    return RateLimited(
        f"you have a rate of {rate.per_second:g} {kind} a second, and {rate.burst:g} at once;"
        " try again",
        f"your rate of {kind}",
        retry_seconds=math.ceil(seconds * _DELAYS_PER_SECOND) / _DELAYS_PER_SECOND,
    )


class CallLimit:
    """The most calls of a kind in progress. Beyond, a call is refused rather than queued."""

    def __init__(
        self, limit: FairLimit, error: type[RateLimited], kind: str, buckets: Buckets
    ) -> None:
        """`buckets` are those of calls of all kinds."""
        self._held = Holdings(limit)
        self._buckets = buckets
        self._error = error
        self._kind = kind

    @property
    def count(self) -> int:
        """How many calls are in progress."""
        return self._held.total

    def take(self, caller: str, rate: Rate | None = None) -> bool:
        """Counts one more call, after which `leave` must follow, if the caller may have one more;
        says whether it may. Without a rate it may call as often as it likes."""
        if not self._held.take(caller):
            return False
        if rate is not None and self._buckets.take(caller, rate, time.monotonic()):
            self.leave(caller)
            return False
        return True

    def enter(self, caller: str, rate: Rate | None = None) -> None:
        """Counts one more call; `leave` must follow.

        Raises:
            RateLimited, StreamLimit: the caller has its share, calls too often, or the server has
                no room.
        """
        if not self._held.take(caller):
            raise refusal(self._error, self._held, caller, self._kind)
        if rate is not None and (seconds := self._buckets.take(caller, rate, time.monotonic())):
            self.leave(caller)
            raise too_often("calls", rate, seconds)

    def move(self, counted: str, caller: str, rate: Rate | None) -> bool:
        """Counts a call for another caller than before, if that one may have one more; says whether
        it may."""
        self._held.add(counted, -1)
        if self.take(caller, rate):
            return True
        self._held.add(counted, 1)
        return False

    def leave(self, caller: str) -> None:
        """Counts one call fewer."""
        self._held.add(caller, -1)
