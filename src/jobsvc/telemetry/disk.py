"""How much room the embedded PostgreSQL has."""

import shutil
from pathlib import Path

from jobsvc.telemetry.catalogue import EMBEDDED_DISK_FREE, EMBEDDED_DISK_SIZE
from jobsvc.telemetry.measurements import Attributes, Measurements


def measure_disk(measurements: Measurements, folder: Path) -> None:
    """Adds the gauges of the disk that has the folder."""
    measurements.gauge(EMBEDDED_DISK_FREE, lambda: _usage(folder, "free"))
    measurements.gauge(EMBEDDED_DISK_SIZE, lambda: _usage(folder, "total"))


def _usage(folder: Path, part: str) -> list[tuple[Attributes, float]]:
    try:
        return [((), getattr(shutil.disk_usage(folder), part))]
    except OSError:  # It is not there.
        return []
