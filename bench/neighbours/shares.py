"""`python -m bench.neighbours.shares`: how long the CreateJob of twenty modest services takes, 100
a second together, while another one creates as fast as it can: without a rate, and at its rate of
200 calls a second. All come from one address, each with an API key. Each row follows a time without
the other, and says what the other was answered and refused in a second.

All processes share the machine, as with `python -m bench.neighbours`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench.measure.child_process import Child, ChildFailed, child_process
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.statement import sql
from bench.neighbours.services import QUEUE
from jobsvc.domain.api_key import ID_BYTES, SECRET_BYTES, write_key
from jobsvc.domain.identity import CREATOR
from jobsvc.store.credentials import CredentialStore
from jobsvc.store.database import open_database

_MODEST = 20
_RATE = 200
_POLICY = f"""
[[rules]]
identity = "key:limited"
share = {{calls_per_second = {_RATE}}}
"""
#: A server reads its keys twice a second.
_KEYS_SECONDS = 2.0
_KINDS = {"free": "one without a rate", "limited": f"one at its rate of {_RATE} calls a second"}


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
            command = ["-m", "bench.neighbours.services", server.detail, f"{seconds}", kind]
            own = {"BENCH_KEYS": " ".join(keys[owner] for owner in owners)}
            process = child_process(name, command, "ready", postgres.log_folder, own)
            return await up.enter_async_context(process)

        modest = await start("modest", "modest", modest_names)
        greedy = {kind: await start(kind, "greedy", [kind]) for kind in _KINDS}
        print("| beside | p50 ms | p99 ms | max ms | refused | the other, a second |")
        print("|---|---|---|---|---|---|")
        for _ in range(rounds):
            for kind, title in _KINDS.items():
                await _measure("nothing", modest)
                greedy[kind].start_work()
                await greedy[kind].result()
                numbers = await _measured(modest)
                greedy[kind].start_work()
                counts = await greedy[kind].result()
                _print(title, numbers, ", ".join(f"{n:.0f} {name}" for name, n in counts.items()))
        await _measure("nothing", modest)


async def _measure(beside: str, modest: Child) -> None:
    _print(beside, await _measured(modest), "")


async def _measured(modest: Child) -> dict[str, float]:
    modest.start_work()
    return await modest.result()


def _print(beside: str, numbers: dict[str, float], counts: str) -> None:
    names = ("create p50", "create p99", "create max")
    cells = " | ".join(f"{numbers[name]:.1f}" for name in names)
    print(f"| {beside} | {cells} | {numbers['refused']:.0f} | {counts} |", flush=True)


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
