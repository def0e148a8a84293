"""How many jobs a caller may create: asked before anything is written."""

import time
from collections.abc import Sequence

from jobsvc.api.auth import current_identity
from jobsvc.api.call_limit import caller_of, too_often
from jobsvc.api.late_refusals import LateRefusals
from jobsvc.domain.errors import JobsvcError
from jobsvc.domain.share import Buckets, Rate
from jobsvc.jobs.create import Asked

_KIND = "created jobs"


class JobRates:
    """The rates of all callers of a replica. Where callers are not authenticated, there is none."""

    def __init__(self, late_refusals: LateRefusals) -> None:
        self._late_refusals = late_refusals
        self._buckets = Buckets()

    async def take(self, count: int, remaining_seconds: float | None) -> None:
        """Counts jobs that the current caller is about to create. A caller that is refused again
        and again hears of it later, but within half of the remaining seconds of its call.

        Raises:
            RateLimited: it creates too many.
        """
        caller, rate = _current()
        if rate is None or not self._buckets.take(caller, rate, time.monotonic(), count):
            return
        most_seconds = None if remaining_seconds is None else remaining_seconds / 2
        await self._late_refusals.wait(caller, most_seconds)
        if seconds := self._buckets.take(caller, rate, time.monotonic(), count):
            raise too_often(_KIND, rate, seconds)

    def take_each(self, asked: Sequence[Asked | JobsvcError]) -> list[Asked | JobsvcError]:
        """Counts jobs one by one; in place of one that is too many returns why, each with a later
        time than the one before, since they cannot all be created then."""
        caller, rate = _current()
        if rate is None:
            return list(asked)
        now = time.monotonic()
        taken: list[Asked | JobsvcError] = []
        refused = 0
        for each in asked:
            if isinstance(each, Asked) and (seconds := self._buckets.take(caller, rate, now)):
                taken.append(too_often(_KIND, rate, seconds + refused / rate.per_second))
                refused += 1
            else:
                taken.append(each)
        return taken


def _current() -> tuple[str, Rate | None]:
    """The current caller and its rate; None where callers are not authenticated."""
    identity = current_identity.get()
    return ("", None) if identity is None else (caller_of("", identity), identity.share.jobs)
