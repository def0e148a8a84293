"""`python -m bench.neighbours.shares`: how long the CreateJob of twenty modest services takes, 100
a second together, beside another one: that makes 200 calls a second, all of which it may make; that
is at its rate of 200 calls a second, calls as fast as it can, and is refused the rest; or that has
no rate. All come from one address, each with an API key.

What a limit is to keep from others is what goes beyond it. So the second is compared with the
first, which has as many calls answered: by p99, and by what does not depend on who else uses the
machine, how long the server's main thread computes, for whomever, while a modest call is in
progress, and the CPU time of the server for each call that was answered. The row of nothing says
what those calls cost by themselves.

All processes share the machine, as with `python -m bench.neighbours`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median

from bench.measure.child_process import Child, ChildFailed, child_process
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.process_tree import cpu_seconds
from bench.measure.statement import sql
from bench.neighbours.services import QUEUE, RATE
from jobsvc.domain.api_key import ID_BYTES, SECRET_BYTES, write_key
from jobsvc.domain.identity import CREATOR
from jobsvc.store.credentials import CredentialStore
from jobsvc.store.database import open_database

_MODEST = 20
_POLICY = f"""
[[rules]]
identity = "key:limited"
share = {{calls_per_second = {RATE}}}
"""
#: A server reads its keys twice a second.
_KEYS_SECONDS = 2.0
#: By name: what it does, and its title.
_KINDS = {
    "within": ("steady", f"one that makes {RATE} calls a second"),
    "limited": ("greedy", f"one at its rate of {RATE} calls a second"),
    "free": ("greedy", "one without a rate"),
}


async def _keys(dsn: str, names: list[str]) -> dict[str, str]:
    """Makes an API key for each service."""
    made = {}
    async with open_database(dsn, 1, 10) as database:
        store = CredentialStore(database)
        for name in names:
            key, key_id, digest = write_key(os.urandom(ID_BYTES), os.urandom(SECRET_BYTES))
            await store.create_key(key_id, name, digest, [CREATOR], [], None)
            made[name] = key
    await asyncio.sleep(_KEYS_SECONDS)
    return made


async def _run(seconds: float, rounds: int) -> None:
    async with AsyncExitStack() as up:
        postgres = await up.enter_async_context(running_postgres())
        folder = Path(up.enter_context(tempfile.TemporaryDirectory(prefix="jobsvc-bench-")))
        (folder / "policy.toml").write_text(_POLICY)
        dsn = await up.enter_async_context(fresh_database(postgres.dsn, "shares"))
        environment = {
            "JOBSVC_ACCEPT_API_KEYS": "1",
            "JOBSVC_POLICY": str(folder / "policy.toml"),
        }
        [server] = await up.enter_async_context(servers(postgres, dsn, 1, environment))
        async with observing(dsn) as connection:
            await connection.execute(sql("pause_queue"), QUEUE, False)
        modest_names = [f"modest-{n}" for n in range(_MODEST)]
        keys = await _keys(dsn, [*modest_names, *_KINDS])

        async def start(name: str, kind: str, owners: list[str]) -> Child:
            command = ["-m", "bench.neighbours.services", server.detail, f"{server.pid}"]
            command += [f"{seconds}", kind]
            own = {"BENCH_KEYS": " ".join(keys[owner] for owner in owners)}
            process = child_process(name, command, "ready", postgres.log_folder, own)
            return await up.enter_async_context(process)

        modest = await start("modest", "modest", modest_names)
        others = {name: await start(name, kind, [name]) for name, (kind, _) in _KINDS.items()}
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in ("nothing", *_KINDS)}
        print("| beside | p50, p99, max ms | main p50, p99 ms | µs a call | the other, a second |")
        print("|---|---|---|---|---|")
        for number in range(rounds):
            # Every other round goes backwards, so that going first is no advantage.
            for name in list(rows)[:: 1 if number % 2 == 0 else -1]:
                row = await _measured(modest, others.get(name), server)
                rows[name].append(row)
                _print("nothing" if name == "nothing" else _KINDS[name][1], row)
        _compare(rows["limited"], rows["within"])


async def _measured(modest: Child, other: Child | None, server: Child) -> dict[str, float]:
    """Lets the modest ones call beside another one, which does nothing before and after."""
    if other is not None:
        other.start_work()
        await other.result()
    cpu_before, began = cpu_seconds(server.pid), time.perf_counter()
    modest.start_work()
    row = await modest.result()
    if row["refused"]:
        raise ChildFailed(f"{row['refused']:.0f} calls of modest services were refused")
    cpu, seconds = cpu_seconds(server.pid) - cpu_before, time.perf_counter() - began
    if other is not None:
        other.start_work()
        row |= await other.result()
    answered = row["calls"] + row.get("created", 0.0) * seconds
    return {**row, "cpu": 1e6 * cpu / answered}


def _print(beside: str, row: dict[str, float]) -> None:
    waited = ", ".join(f"{row[f'create {which}']:.1f}" for which in ("p50", "p99", "max"))
    computed = ", ".join(f"{row[f'computed {which}']:.1f}" for which in ("p50", "p99"))
    counts = [f"{row[name]:.0f} {name}" for name in ("created", "refused") if "created" in row]
    cells = (beside, waited, computed, f"{row['cpu']:.0f}", ", ".join(counts))
    print("| " + " | ".join(cells) + " |", flush=True)


def _compare(limited: list[dict[str, float]], within: list[dict[str, float]]) -> None:
    """Prints the medians, over the rounds, of the ratios of one that is refused calls to one that
    is not."""
    for name, title in (
        ("create p99", "p99"),
        ("computed p99", "p99 of the main thread"),
        ("cpu", "CPU of the server for each call"),
    ):
        ratio = median(a[name] / b[name] for a, b in zip(limited, within, strict=True))
        print(f"{title}, at its rate / as many calls without a refusal: {ratio:.2f}")


def main() -> int:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours.shares", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S")
    parser.add_argument("--rounds", type=int, default=1, metavar="N")
    chosen = parser.parse_args()
    try:
        asyncio.run(_run(chosen.seconds, chosen.rounds))
    except ChildFailed as problem:
        print(f"FAILED: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
