"""Vacuum: jobs leave up to ten thousand dead rows a second in the tables that they go through.
Autovacuum comes once a minute by default, and until then every claim walks past them."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from jobsvc.domain.dead_rows import DirtyTable, VacuumPace
from jobsvc.store.store import Store
from jobsvc.telemetry.catalogue import HORIZON_AGE
from jobsvc.telemetry.measurements import Measurements
from jobsvc.upkeep.horizon_log import HorizonLog

log = logging.getLogger(__name__)

_MAY_NOT_VACUUM = (
    "this role may not vacuum our tables, so autovacuum must, and claims are slower until it comes:"
    " let it own them or, from PostgreSQL 17 on, run `jobsvc migrate --grant`"
)


class TableVacuum:
    """Vacuums the tables that jobs go through, and says who makes that useless."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        measurements: Measurements | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._paces = defaultdict[str, VacuumPace](VacuumPace)
        self._horizon_log = HorizonLog(clock)
        self._has_told = False
        if measurements is not None:
            measurements.gauge(HORIZON_AGE, lambda: [((), self._horizon_log.age_seconds)])

    async def run_once(self) -> None:
        """Vacuums the tables that need it. Says once which of them the role may not vacuum: those
        are left to autovacuum."""
        dirty = await self._store.upkeep.dirty_tables()
        tables = [table for table in dirty if table.may_vacuum]
        if len(tables) < len(dirty) and not self._has_told:
            self._has_told = True
            log.warning("%s", _MAY_NOT_VACUUM)
        self._paces = defaultdict(
            VacuumPace, {t.name: self._paces[t.name] for t in tables if t.name in self._paces}
        )
        futile = [table for table in tables if self._paces[table.name].is_futile]
        if not futile:
            self._horizon_log.over()
            await self._vacuum(tables, None)
            return
        holder = await self._store.upkeep.horizon_holder()
        self._horizon_log.held(holder, {table.name: table.dead_rows for table in futile})
        await self._vacuum(tables, holder and holder.xid)

    async def _vacuum(self, tables: Sequence[DirtyTable], horizon: str | None) -> None:
        """Vacuums those of the tables that are due."""
        due = [t for t in tables if self._paces[t.name].is_due(horizon, self._clock())]
        for table in due:
            await self._store.upkeep.vacuum(table.name)
        if due:
            left = {t.name: t.dead_rows for t in await self._store.upkeep.dirty_tables()}
            for name, before, _ in due:
                log.debug("vacuum of %s: %d dead rows, then %d", name, before, left.get(name, 0))
                self._paces[name].vacuumed(before, left.get(name, 0), horizon, self._clock())
