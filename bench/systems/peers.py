"""Other job queues on PostgreSQL as systems, with the best settings that are honest: each keeps its
jobs durable, and records them as it does by default. `bench/peers/README.md` has the reasons.

Each is a program in its own language and environment below `build/peers`, which
`make bench-peers` installs.
"""

from pathlib import Path

from bench.systems.peer_program import PeerProgram
from bench.systems.system import System

_ROOT = Path(__file__).parents[2]
_BUILD = _ROOT / "build" / "peers"
#: Everything with one caller process or one worker process.
_ALL = (
    *("create-1", "create-32", "create-64", "create-256", "batch-create", "batch-create-4"),
    *("drain", "latency"),
)


def _node(name: str, version: str, program: str) -> PeerProgram:
    # The programs are links below node_modules' folder, so that they find it.
    script = _BUILD / "node" / "src" / f"{program}.mjs"
    command = (
        str(_BUILD / "node" / "bin" / "node"),
        "--preserve-symlinks",
        "--preserve-symlinks-main",
        str(script),
    )
    # Keeps graphile-worker from logging each job.
    environment = {"NO_LOG_SUCCESS": "1"}
    return PeerProgram(name, version, (*_ALL, "drain-1m"), command, environment)


def _python(name: str, version: str, program: str, max_drained: int | None = None) -> PeerProgram:
    script = _ROOT / "bench" / "peers" / "python" / f"{program}.py"
    command = (str(_BUILD / "venv" / "bin" / "python"), str(script))
    return PeerProgram(name, version, _ALL, command, max_drained=max_drained)


PEERS: tuple[PeerProgram, ...] = (
    _node("pg-boss", "12.38.0", "pgboss"),
    _node("graphile-worker", "0.18.0", "graphile"),
    PeerProgram("River", "0.51.2", (*_ALL, "drain-1m"), (str(_BUILD / "river"),)),
    _python("Oban (Python)", "0.7.0", "run_oban"),
    _python("PgQueuer", "1.6.0", "run_pgqueuer"),
    # Below 1,000 jobs/s: a longer drain says nothing more.
    _python("procrastinate", "3.10.0", "run_procrastinate", max_drained=3_000),
)


class PeersMissing(Exception):
    """Peers are not installed. The text says which."""


def peer_systems(backlog: int) -> list[System]:
    """All peers; `backlog` jobs wait behind those that are drained in drain-1m.

    Raises:
        PeersMissing: not all of them are installed.
    """
    missing = [peer.name for peer in PEERS if not peer.installed]
    if missing:
        raise PeersMissing(f"not installed: {', '.join(missing)}; make peers installs them")
    return [peer.system(backlog) for peer in PEERS]
