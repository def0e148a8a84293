"""How leases end without a report of their worker."""

from datetime import datetime
from enum import StrEnum


class Lapse(StrEnum):
    """How an attempt ended without a report of its worker."""

    LEASE_EXPIRED = "LEASE_EXPIRED"
    ATTEMPT_TIMEOUT = "ATTEMPT_TIMEOUT"


def lapse(until: datetime, deadline: datetime, now: datetime) -> Lapse | None:
    """Returns how a lease that runs `until` has lapsed at `now`, None if it has not.

    `deadline` is the end of the attempt's time, or of the job's. It comes first:
    a worker that stopped extending at the very end has run out of time.
    """
    if now >= deadline:
        return Lapse.ATTEMPT_TIMEOUT
    return Lapse.LEASE_EXPIRED if now >= until else None
