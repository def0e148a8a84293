"""How leases end without a report of their worker."""

from datetime import datetime
from enum import StrEnum


class Lapse(StrEnum):
    """How an attempt ended without a report of its worker."""

    LEASE_EXPIRED = "LEASE_EXPIRED"
    ATTEMPT_TIMEOUT = "ATTEMPT_TIMEOUT"
    #: The job is cancelled, and the worker has not said in time that it stopped.
    CANCEL_GRACE = "CANCEL_GRACE"


def lapse(
    until: datetime, deadline: datetime, now: datetime, cancel_requested: bool = False
) -> Lapse | None:
    """Returns how a lease that runs `until` has lapsed at `now`, None if it has not.

    `deadline` is the end of the attempt's time, of the job's, or of the grace after a
    cancellation was requested. It comes first: a worker that stopped extending at the
    very end has run out of time.
    """
    if now >= deadline:
        return Lapse.CANCEL_GRACE if cancel_requested else Lapse.ATTEMPT_TIMEOUT
    return Lapse.LEASE_EXPIRED if now >= until else None
