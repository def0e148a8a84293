"""Limits the calls of one kind in progress, for each caller and for all of them, and how often a
caller calls."""

import math
import time
from collections import Counter
from collections.abc import Callable

from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit, Holdings
from jobsvc.domain.identity import Identity
from jobsvc.domain.share import Buckets, CallTerms, Rate

#: Delays are rounded up to hundredths of a second: refusals that are equal are made once.
_DELAYS_PER_SECOND = 100


def caller_of(peer: str, identity: Identity | None = None) -> str:
    """Who calls, for its share of the limits: the service of an identity, else the address of the
    peer (`ipv4:192.0.2.1:4711`) without its port. Without identities, callers behind one proxy are
    one: metadata that names them could be invented."""
    # An address has no blank, so that no service is named as one.
    return f"service {identity.service}" if identity is not None else peer.rpartition(":")[0]


def refusal(
    error: type[RateLimited],
    held: Holdings,
    caller: str,
    kind: str,
    amount: int = 1,
    most: int | None = None,
) -> RateLimited:
    """The error for a caller that may not take more of a kind, without a word on other callers.
    `most` is its own limit."""
    limit = held.limit.limit
    if most is not None and 0 < held.of(caller) > most - amount:
        return own_refusal(error, held.of(caller), most, kind)
    if held.total + amount > limit:
        return error(f"the server has {limit} {kind} in progress; try again", kind)
    return error(
        f"you have {held.of(caller)} {kind} in progress, your share of the server's {limit};"
        " try again",
        f"your share of {kind}",
    )


def own_refusal(error: type[RateLimited], held: int, most: int, kind: str) -> RateLimited:
    """The error for a caller that has as many of a kind as its own limit says."""
    return error(
        f"you have {held} {kind} in progress, and may have {most}; try again",
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


class OwnCounts:
    """The calls of some kinds that each caller has in progress, for limits of its own."""

    def __init__(self, kind: str) -> None:
        """`kind` names the kinds together, for people."""
        self.kind = kind
        self._held: Counter[str] = Counter()

    def of(self, caller: str) -> int:
        """What a caller has in progress."""
        return self._held[caller]

    def add(self, caller: str, amount: int) -> None:
        """Counts calls that begin, or end."""
        self._held[caller] += amount
        if not self._held[caller]:
            del self._held[caller]


class CallLimit:
    """The most calls of a kind in progress. Beyond, a call is refused rather than queued."""

    def __init__(
        self,
        limit: FairLimit,
        error: type[RateLimited],
        kind: str,
        buckets: Buckets,
        own: OwnCounts | None = None,
    ) -> None:
        """`buckets` are those of calls of all kinds; `own` counts for limits of a caller's own."""
        self._held = Holdings(limit)
        self._buckets = buckets
        self._error = error
        self._kind = kind
        self._own = own

    @property
    def count(self) -> int:
        """How many calls are in progress."""
        return self._held.total

    def take(self, caller: str, terms: CallTerms | None = None) -> bool:
        """Counts one more call, after which `leave` must follow, if the caller may have one more;
        says whether it may. Without terms, a caller has no limits of its own."""
        return self._try(caller, terms) is None

    def enter(self, caller: str, terms: CallTerms | None = None) -> None:
        """Counts one more call; `leave` must follow.

        Raises:
            RateLimited, StreamLimit: the caller has its share, calls too often, or the server has
                no room.
        """
        if (refuse := self._try(caller, terms)) is not None:
            raise refuse()

    def move(self, counted: str, caller: str, terms: CallTerms | None) -> bool:
        """Counts a call for another caller than before, if that one may have one more; says whether
        it may."""
        self._add(counted, -1)
        if self.take(caller, terms):
            return True
        self._add(counted, 1)
        return False

    def leave(self, caller: str) -> None:
        """Counts one call fewer."""
        self._add(caller, -1)

    def _try(self, caller: str, terms: CallTerms | None) -> Callable[[], RateLimited] | None:
        """Counts one more call, or returns what makes the error that says why not."""
        own = self._own
        if own is not None and terms is not None and terms.most is not None:
            held, most, kind = own.of(caller), terms.most, own.kind
            if held >= most:
                return lambda: own_refusal(self._error, held, most, kind)
        if not self._held.take(caller):
            return lambda: refusal(self._error, self._held, caller, self._kind)
        if terms is not None and (rate := terms.rate) is not None:
            seconds = self._buckets.take(caller, rate, time.monotonic())
            if seconds:
                self._held.add(caller, -1)
                return lambda: too_often("calls", rate, seconds)
        if own is not None:
            own.add(caller, 1)
        return None

    def _add(self, caller: str, amount: int) -> None:
        self._held.add(caller, amount)
        if self._own is not None:
            self._own.add(caller, amount)
