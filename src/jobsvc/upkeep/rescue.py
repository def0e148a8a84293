"""Rescue: ends leases whose worker has fallen silent, and attempts that have run out of time."""

import random
from collections.abc import Callable, Iterable
from datetime import timedelta

from jobsvc.domain.lapse import Lapse, lapse
from jobsvc.domain.lease import LapsedLease, LeaseId
from jobsvc.domain.lease_end import End
from jobsvc.domain.outages import Outages
from jobsvc.domain.outcome import decide
from jobsvc.domain.retention import keep_seconds
from jobsvc.jobs.settle import DecidedEnd, Settlement
from jobsvc.settings import Settings
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements
from jobsvc.upkeep.rescue_log import RescueLog

_MAX_LEASES = 500


async def rescue_leases(
    store: Store,
    settlement: Settlement,
    outages: Outages,
    settings: Settings,
    on_lost: Callable[[Iterable[LeaseId], str], None],
    log: RescueLog,
    measurements: Measurements | None = None,
) -> int:
    """Ends a batch of leases that have run out. Returns how many did end.

    A lease is left alone if an outage excuses the silence of its worker, or if it is extended after
    it was read. `on_lost` is told of the leases that ended.
    """
    lapsed_leases = await store.leases.lapsed(_MAX_LEASES)
    # After the leases were read, so that an outage meanwhile is known.
    outages.looked(await store.upkeep.clock(), store.take_found_away())
    ends, excused = [], []
    for lapsed in lapsed_leases:
        if (cause := _cause(lapsed)) is None:
            continue
        if _is_excused(lapsed, outages):
            excused.append(lapsed.id)
        else:
            ends.append(_end(lapsed, cause, random.uniform(-1, 1), settings))
    ended = await settlement.lapse(ends) if ends else []
    log.rescued(ends, ended)
    log.excused(excused)
    measured, has_ended = JobMeasurements(measurements), set(ended)
    for decided in ends:
        if decided.end.id in has_ended and isinstance(decided.cause, Lapse):
            measured.rescued(decided.terms.queue, decided.cause.value)
    on_lost(
        ended,
        "the lease has expired, the attempt has run out of time,"
        " or it has not stopped in time after a cancellation",
    )
    return len(ended)


def _cause(lapsed: LapsedLease) -> Lapse | None:
    return lapse(lapsed.until, lapsed.deadline, lapsed.read_time, lapsed.terms.cancel_requested)


def _is_excused(lapsed: LapsedLease, outages: Outages) -> bool:
    """Whether the worker may have had no chance to extend the lease, or to report the outcome: one
    that comes after the deadline counts too, until the lease is ended."""
    end = min(lapsed.until, lapsed.deadline)
    last_extension = end - timedelta(seconds=lapsed.duration_seconds)
    return outages.excuse(max(lapsed.start_time, last_extension), end)


def _end(lapsed: LapsedLease, cause: Lapse, spread: float, settings: Settings) -> DecidedEnd:
    """Returns the end of a lapsed lease; it counts only if the lease is not extended before the
    write. `spread` is the random part of the retry delay."""
    terms = lapsed.terms
    job_expired = lapsed.expire_time is not None and lapsed.read_time >= lapsed.expire_time
    verdict = decide(terms, cause, spread, job_expired)
    keep = keep_seconds(terms, failed=True, settings=settings)
    return DecidedEnd(terms, cause, End(lapsed.id, verdict, keep, until=lapsed.until))
