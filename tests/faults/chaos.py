"""Random faults on a real installation under load, and the verdict of the checker.

    python -m tests.faults.chaos --seconds 60 --seed 7 [--without GUARD]

Exit code 1 when an invariant broke. The faults of a seed and their times are always the same; what
they meet is not.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobsvc.settings import SCHEMA
from jobsvc.store.inconsistencies import find_inconsistencies
from tests.e2e.support.checker import violations
from tests.e2e.support.tables import read_tables
from tests.faults.support.faults import Faults
from tests.faults.support.guards import GUARDS, removed
from tests.faults.support.installation import (
    MOST_SESSIONS,
    SERVERS,
    WORKERS,
    Installation,
    an_installation,
)
from tests.faults.support.leftovers import Footprint, leftovers, take_footprint
from tests.faults.support.load import Load
from tests.faults.support.progress import telling_progress
from tests.faults.support.schedule import ALL, Planned, plan_faults
from tests.faults.support.summary import summary
from tests.support.probe import eventually

DRAIN_SECONDS = 60.0
#: Longest time without any end, and from the last fault to the last end: a lease and 5 s three
#: times over, with the waits between attempts.
RECOVERY_SECONDS = 40.0
#: A worker that stood still, or was cut off until it noticed, begins what it had received before.
LATE_SECONDS = 20.0
#: Until sockets are closed and sessions are idle.
_REST_SECONDS = 20.0
_MOST_SHOWN = 20
#: Jobs that are read at a time, at the end of a run that may have had many.
_READ_JOBS = 2_000


async def run(seconds: float, seed: int, without: str = "") -> list[str]:
    """Runs once, prints what happens, and returns what was broken."""
    found: list[str] = []
    guard = GUARDS.get(without)
    planned = plan_faults(seed, seconds, SERVERS, WORKERS, guard.kinds if guard else ALL)
    with tempfile.TemporaryDirectory(prefix="jobsvc-chaos-") as folder:
        try:
            async with an_installation(Path(folder), guard.sql if guard else "") as installation:
                found += await _run(installation, planned, seconds, seed)
        except* AssertionError as group:
            # What was waited for did not come, or a server has logged a traceback.
            found += [f"K9 {error}" for error in _leaves(group)]
    return found


def _leaves(group: BaseExceptionGroup[AssertionError]) -> Iterator[BaseException]:
    for error in group.exceptions:
        yield from _leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)


async def _run(
    installation: Installation, planned: Sequence[Planned], seconds: float, seed: int
) -> list[str]:
    before = await take_footprint(installation.servers, installation.dsn)
    async with asyncio.TaskGroup() as background:
        supervisor = background.create_task(installation.replace_poisoned())
        drained = await _break_under_load(installation, planned, seconds, seed)
        supervisor.cancel()
    found = [*installation.surprises]
    if not drained:
        found.append(f"K1 not everything has ended within {DRAIN_SECONDS:g} s")
    events = installation.stage.history.events()
    tables = await read_tables(installation.dsn)
    found += violations(
        events, tables, late_seconds=LATE_SECONDS, recovery_seconds=RECOVERY_SECONDS
    )
    found += [
        f"K7 doctor: {one.sentence}" for one in await find_inconsistencies(installation.dsn, SCHEMA)
    ]
    found += await _left(installation, before)
    print(summary(events, tables))
    return found


async def _break_under_load(
    installation: Installation, planned: Sequence[Planned], seconds: float, seed: int
) -> bool:
    """Breaks everything as planned. Returns whether everything came to its end."""
    print(f"seed {seed}: {len(planned)} faults in {seconds:g} s", flush=True)
    began = time.time()
    async with Load(installation, seed) as load:
        faults = Faults(installation, load, began)
        async with telling_progress(installation, load, began), asyncio.TaskGroup() as tasks:
            for fault in planned:
                await _until(began + fault.begin_seconds)
                tasks.create_task(faults.happen(fault))
        await _until(began + seconds)
        drained = await load.stop(DRAIN_SECONDS)
        print(f"{time.time() - began:6.1f} s  drained: {drained}", flush=True)
        installation.look_for_dead()
        ended = sorted(load.ended)
        for start in range(0, len(ended), _READ_JOBS):
            await load.callers[0].read(ended[start : start + _READ_JOBS])
    return drained


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.time()))  # The schedule's own time.


async def _left(installation: Installation, before: Footprint) -> list[str]:
    """What is still held after a while."""
    left: list[str] = []

    async def nothing() -> bool:
        after = await take_footprint(installation.servers, installation.dsn)
        left[:] = leftovers(before, after, MOST_SESSIONS)
        return not left

    try:
        await eventually(nothing, seconds=_REST_SECONDS)
    except AssertionError:
        return left
    return []


def main() -> int:
    """Runs once, and says what the checker found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--without",
        choices=sorted(name for name, guard in GUARDS.items() if guard.breaks),
        default="",
    )
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
    with removed(options.without):
        found = asyncio.run(run(options.seconds, seed, options.without))
    for text in found[:_MOST_SHOWN]:
        print(text)
    if found:
        print(f"BROKEN: {len(found)} violations; seed {seed}")
        return 1
    print(f"every invariant held; seed {seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
