"""Lag of the event loop: everything on a replica shares the loop, so blocking it delays all."""

import asyncio
import logging
import time

from opentelemetry import metrics

from jobsvc.telemetry.catalogue import LOOP_LAG

log = logging.getLogger(__name__)

_PROBE_SECONDS = 0.01
#: A loop that was blocked this long is worth a line in the log, but not one each time.
_WARN_SECONDS = 0.25
_QUIET_SECONDS = 10.0


async def watch_loop(meter: metrics.Meter, warn_seconds: float = _WARN_SECONDS) -> None:
    """Sleeps again and again, and records how late it wakes, until cancelled.

    Only a block that is longer than a sleep of 10 ms is seen, and up to 10 ms of it are missed.
    """
    lag = meter.create_histogram(
        LOOP_LAG.name,
        unit=LOOP_LAG.unit,
        description=LOOP_LAG.description,
        explicit_bucket_boundaries_advisory=LOOP_LAG.boundaries,
    )
    loop = asyncio.get_running_loop()
    quiet_until = worst = due = 0.0
    timer: asyncio.TimerHandle | None = None

    # A timer instead of a sleep, which would wake a task, too: half of what an idle server does.
    def probe() -> None:
        nonlocal due, quiet_until, worst, timer
        now = time.monotonic()
        if timer is not None:
            late = max(now - due, 0.0)
            lag.record(late)
            worst = max(worst, late)
            if worst >= warn_seconds and now >= quiet_until:
                log.warning("the event loop was blocked for %.0f ms", 1000 * worst)
                quiet_until, worst = now + _QUIET_SECONDS, 0.0
        # Not the loop's own time: it may stand still while the loop is busy.
        due = time.monotonic() + _PROBE_SECONDS
        timer = loop.call_later(_PROBE_SECONDS, probe)

    probe()
    try:
        await loop.create_future()
    finally:
        if timer is not None:
            timer.cancel()
