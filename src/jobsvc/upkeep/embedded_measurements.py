"""Measures the embedded PostgreSQL: for one of the user's own there are exporters."""

import asyncio
from contextlib import suppress
from typing import NoReturn

from jobsvc.embedded import EmbeddedPostgres
from jobsvc.store.repeat import repeat
from jobsvc.store.upkeep import UpkeepStore
from jobsvc.telemetry.catalogue import (
    EMBEDDED_CONNECTIONS,
    EMBEDDED_RESTARTS,
    EMBEDDED_SIZE,
    Instrument,
)
from jobsvc.telemetry.measurements import Measurements

_READ_SECONDS = 10.0


class EmbeddedMeasurements:
    """What was read last. `run` reads it, on a replica whose metrics go anywhere."""

    def __init__(
        self, postgres: EmbeddedPostgres, upkeep: UpkeepStore, measurements: Measurements
    ) -> None:
        self._postgres = postgres
        self._upkeep = upkeep
        self._last: dict[Instrument, float] = {}
        for instrument in (EMBEDDED_SIZE, EMBEDDED_CONNECTIONS):
            self._gauge(measurements, instrument)
        measurements.gauge(EMBEDDED_RESTARTS, lambda: [((), postgres.restarts)])

    async def run(self) -> NoReturn:
        """Reads again and again, until cancelled."""
        await repeat(_READ_SECONDS, self._read)

    async def _read(self) -> None:
        read: dict[Instrument, float] = {}
        with suppress(OSError):  # A disk that fails is PostgreSQL's to tell.
            read = {EMBEDDED_SIZE: await asyncio.to_thread(self._postgres.size_bytes)}
        self._last = read  # Without connections, if the database fails now.
        self._last = {**read, EMBEDDED_CONNECTIONS: await self._upkeep.count_connections()}

    def _gauge(self, measurements: Measurements, instrument: Instrument) -> None:
        def read() -> list[tuple[tuple[str, ...], float]]:
            value = self._last.get(instrument)
            return [] if value is None else [((), value)]

        measurements.gauge(instrument, read)
