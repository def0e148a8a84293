"""Reads the costs of a measurement: CPU and memory of each part, and PostgreSQL's counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType

import asyncpg
import psutil

from bench.measure.observer import OBSERVER, counting, database_name
from bench.measure.process_tree import cpu_seconds, forget_peak, peak_mb
from bench.measure.sample import Costs
from bench.measure.statement import sql

POSTGRES = "postgres"


class Meter:
    """A block around the measured work, with all processes running before and after:

        async with Meter(dsn, {"server": [pid], "worker": pids, "caller": [pid]}) as meter:
            ...
        costs = meter.costs(jobs)

    `dsn` names the database that is measured; its PostgreSQL must run on this machine and have
    `pg_stat_statements` among its `shared_preload_libraries`. The meter finds PostgreSQL's
    processes itself, as the part "postgres"; children of the pids count with them. Commits and WAL
    are of the whole server, so nothing else should write at the same time.

    Commits are counted by transaction numbers: exact at any moment, where `xact_commit` of
    `pg_stat_database` is up to 10 s late and counts what only reads.
    """

    def __init__(self, dsn: str, parts: Mapping[str, Iterable[int]]) -> None:
        self._dsn = dsn
        self._pids = {part: list(pids) for part, pids in parts.items()}
        self._cpu_before: dict[int, float] = {}
        self._cpu_seconds: dict[str, float] = {}
        self._peak_mb: dict[str, float] = {}
        self._counters: dict[str, float] = {}
        self._stack = AsyncExitStack()

    def costs(self, jobs: int) -> Costs:
        """Costs of each of `jobs`, once the block has ended."""
        assert self._cpu_seconds, "the block has not ended"
        return Costs(
            cpu_us={part: s * 1e6 / jobs for part, s in self._cpu_seconds.items()},
            statements=self._counters["statements"] / jobs,
            commits=self._counters["commits"] / jobs,
            wal_bytes=self._counters["wal_bytes"] / jobs,
            peak_mb=dict(self._peak_mb),
        )

    async def __aenter__(self) -> Meter:
        self._connection = await self._stack.enter_async_context(counting(self._dsn))
        backend = psutil.Process(self._connection.get_server_pid())
        self._pids[POSTGRES] = [backend.ppid()]
        for pids in self._pids.values():
            for pid in pids:
                forget_peak(pid)
        self._before = await self._read()
        self._cpu_before = {pid: cpu_seconds(pid) for pids in self._pids.values() for pid in pids}
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async with self._stack:
            if error is not None:
                return
            self._cpu_seconds = {
                part: sum(max(0.0, cpu_seconds(pid) - self._cpu_before[pid]) for pid in pids)
                for part, pids in self._pids.items()
            }
            after = await self._read()
            self._counters = {name: after[name] - self._before[name] for name in after}
            self._peak_mb = {
                part: sum(peak_mb(pid) for pid in pids) for part, pids in self._pids.items()
            }

    async def _read(self) -> dict[str, float]:
        row: asyncpg.Record | None = await self._connection.fetchrow(
            sql("counters"), database_name(self._dsn), OBSERVER
        )
        assert row is not None, "the counters are one row"
        return dict(row)
