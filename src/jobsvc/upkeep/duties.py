"""All duties of a replica."""

from collections.abc import Callable, Sequence
from functools import partial

from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.domain.outages import Outages
from jobsvc.jobs.settle import Settlement
from jobsvc.queues.control import QueueControl
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.telemetry.measurements import Measurements
from jobsvc.upkeep.depths import write_depths
from jobsvc.upkeep.expire import expire_jobs
from jobsvc.upkeep.loop import Duty
from jobsvc.upkeep.prune import (
    prune_audit,
    prune_bulk_operations,
    prune_history,
    prune_jobs,
    prune_schemas,
)
from jobsvc.upkeep.removals import Removals
from jobsvc.upkeep.rescue import rescue_leases
from jobsvc.upkeep.rescue_log import RescueLog
from jobsvc.upkeep.trim import trim_memory
from jobsvc.upkeep.vacuum import TableVacuum

_VACUUM_SECONDS = 1.0
_SCHEMAS_SECONDS = 600.0
_REMOVALS_SECONDS = 5.0
_TRIM_SECONDS = 10.0
#: Often enough to meet each minute.
_DEPTHS_SECONDS = 30.0


def duties_of(
    store: Store,
    settlement: Settlement,
    hints: Hints,
    dispatcher: Dispatcher,
    control: QueueControl,
    outages: Outages,
    take_peak: Callable[[], int],
    settings: Settings,
    measurements: Measurements,
) -> Sequence[Duty]:
    """Returns the duties of one replica, each with its interval. `take_peak` returns the most bytes
    of requests since it was last asked."""
    rescue = partial(
        rescue_leases,
        store,
        settlement,
        outages,
        settings,
        dispatcher.leases_lost,
        RescueLog(),
        measurements,
    )
    expire = partial(expire_jobs, store, hints, settings, measurements)
    return (
        Duty("rescue", settings.rescue_interval_seconds, rescue),
        Duty("expire", settings.rescue_interval_seconds, expire),
        Duty("prune", settings.prune_interval_seconds, partial(prune_jobs, store, settings)),
        Duty(
            "prune bulk operations",
            settings.prune_interval_seconds,
            partial(prune_bulk_operations, store),
        ),
        Duty("prune audit", settings.prune_interval_seconds, partial(prune_audit, store, settings)),
        Duty("prune history", settings.prune_interval_seconds, partial(prune_history, store)),
        Duty("depths", _DEPTHS_SECONDS, partial(write_depths, store)),
        Duty("prune schemas", _SCHEMAS_SECONDS, partial(prune_schemas, store)),
        Duty("remove queues", _REMOVALS_SECONDS, Removals(store.queue_control, control).run_once),
        Duty("vacuum", _VACUUM_SECONDS, TableVacuum(store, measurements=measurements).run_once),
        Duty("trim", _TRIM_SECONDS, partial(trim_memory, take_peak)),
    )
