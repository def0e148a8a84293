"""Rescue: leases whose worker has fallen silent, and attempts that have run out of time."""

import random
from collections.abc import Callable, Iterable

from jobsvc.domain.lease import LeaseId
from jobsvc.domain.lease_end import End
from jobsvc.domain.outcome import decide, lapse
from jobsvc.jobs.settle import DecidedEnd, Settlement, keep_seconds
from jobsvc.settings import Settings
from jobsvc.store.store import Store

_MOST = 500


async def rescue_leases(
    store: Store,
    settlement: Settlement,
    settings: Settings,
    on_lost: Callable[[Iterable[LeaseId], str], None],
) -> int:
    """Ends leases that have run out, and counts them.

    A lease that is extended after it was looked at is left alone. `on_lost` is
    told of the leases that did end.
    """
    ends = []
    for lapsed in await store.leases.lapsed(_MOST):
        terms = lapsed.terms
        cause = lapse(lapsed.until, lapsed.deadline, lapsed.read_time)
        if cause is None:
            continue
        expired = lapsed.expire_time is not None and lapsed.read_time >= lapsed.expire_time
        verdict = decide(terms, cause, random.uniform(-1, 1), expired)
        keep = keep_seconds(terms, failed=True, settings=settings)
        end = End(lapsed.id, verdict, keep, until=lapsed.until)
        ends.append(DecidedEnd(terms, cause, end))
    ended = await settlement.lapse(ends) if ends else []
    on_lost(ended, "the lease has expired, or the attempt has run out of time")
    return len(ended)
