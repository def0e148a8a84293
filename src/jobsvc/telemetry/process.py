"""What the operating system says of this process. What it does not say is left out."""

import os
import time
from pathlib import Path

from jobsvc.telemetry.catalogue import (
    PROCESS_CPU_TIME,
    PROCESS_FILES,
    PROCESS_MEMORY,
    PROCESS_UPTIME,
)
from jobsvc.telemetry.measurements import Attributes, Measurements

_STATM = Path("/proc/self/statm")
_FILES = Path("/proc/self/fd")


def measure_process(measurements: Measurements) -> None:
    """Adds the gauges of this process."""
    begin = time.monotonic()
    measurements.gauge(PROCESS_UPTIME, lambda: [((), time.monotonic() - begin)])
    measurements.gauge(PROCESS_CPU_TIME, _cpu_time)
    measurements.gauge(PROCESS_MEMORY, _memory)
    measurements.gauge(PROCESS_FILES, _files)


def _cpu_time() -> list[tuple[Attributes, float]]:
    used = os.times()
    return [(("user",), used.user), (("system",), used.system)]


def _memory() -> list[tuple[Attributes, float]]:
    try:
        resident_pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:  # There is no /proc but on Linux.
        return []
    return [((), resident_pages * os.sysconf("SC_PAGE_SIZE"))]


def _files() -> list[tuple[Attributes, float]]:
    try:
        return [((), sum(1 for _ in _FILES.iterdir()))]
    except OSError:
        return []
