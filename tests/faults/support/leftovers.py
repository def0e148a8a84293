"""K8: what servers hold and what is open in the database, before the load and after it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

from tests.e2e.support.processes import Server
from tests.e2e.support.tables import fetch

#: Sockets that are about to close, and a connection more of a pool that had not been full.
_FILES_MARGIN = 16
_MEMORY_MARGIN_BYTES = 150 << 20

_SESSIONS = """
SELECT
    count(*) FILTER (WHERE application_name LIKE 'jobsvc%') AS ours,
    count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class Footprint:
    """What is held at one moment; files and memory by the name of the server."""

    files: Mapping[str, int]
    memory_bytes: Mapping[str, int]
    sessions: int
    idle_in_transaction: int


async def take_footprint(servers: Sequence[Server], dsn: str) -> Footprint:
    """Looks at running servers and their database."""
    processes = {f"server {n}": psutil.Process(s.pid) for n, s in enumerate(servers)}
    (row,) = await fetch(dsn, _SESSIONS)
    return Footprint(
        files={name: process.num_fds() for name, process in processes.items()},
        memory_bytes={name: process.memory_info().rss for name, process in processes.items()},
        sessions=row["ours"],
        idle_in_transaction=row["idle_in_transaction"],
    )


def leftovers(before: Footprint, after: Footprint, most_sessions: int) -> Iterator[str]:
    """What is held after the load and should not be. Pure."""
    for name, files in after.files.items():
        if files > before.files[name] + _FILES_MARGIN:
            yield f"K8 {name} has {files} open files, and had {before.files[name]}"
    for name, memory in after.memory_bytes.items():
        if memory > before.memory_bytes[name] + _MEMORY_MARGIN_BYTES:
            yield (
                f"K8 {name} holds {memory >> 20} MiB, and held {before.memory_bytes[name] >> 20}"
            )
    if after.sessions > most_sessions:
        yield f"K8 {after.sessions} sessions are open, and all pools have {most_sessions}"
    if after.idle_in_transaction:
        yield f"K8 {after.idle_in_transaction} sessions are idle in a transaction"
