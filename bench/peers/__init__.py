"""Other job queues on PostgreSQL, measured beside jobsvc with the best settings that are honest:
each keeps its jobs durable, and records them as it does by default. `README.md` has the reasons.

Each is a program in its own language and environment below `build/peers`, which
`make bench-peers` installs."""

from pathlib import Path

from bench.peers.peer import Peer

_HERE = Path(__file__).parent
_BUILD = _HERE.parents[1] / "build" / "peers"
#: Everything with one caller process or one worker process.
_ALL = (
    *("create-1", "create-32", "create-64", "create-256", "batch-create", "batch-create-4"),
    *("drain", "latency"),
)


def _node(name: str, version: str, program: str) -> Peer:
    # The programs are links below node_modules' folder, so that they find it.
    script = _BUILD / "node" / "src" / f"{program}.mjs"
    command = (
        str(_BUILD / "node" / "bin" / "node"),
        "--preserve-symlinks",
        "--preserve-symlinks-main",
        str(script),
    )
    # graphile-worker's: no line of log for each job.
    environment = {"NO_LOG_SUCCESS": "1"}
    return Peer(name, version, (*_ALL, "drain-1m"), command, environment)


def _python(name: str, version: str, program: str, drain_at_most: int | None = None) -> Peer:
    command = (str(_BUILD / "venv" / "bin" / "python"), str(_HERE / "python" / f"{program}.py"))
    return Peer(name, version, _ALL, command, drain_at_most=drain_at_most)


PEERS: tuple[Peer, ...] = (
    _node("pg-boss", "12.38.0", "pgboss"),
    _node("graphile-worker", "0.18.0", "graphile"),
    Peer("River", "0.51.2", (*_ALL, "drain-1m"), (str(_BUILD / "river"),)),
    _python("Oban (Python)", "0.7.0", "run_oban"),
    _python("PgQueuer", "1.6.0", "run_pgqueuer"),
    # Below 1,000 jobs/s: a longer drain says nothing more.
    _python("procrastinate", "3.10.0", "run_procrastinate", drain_at_most=3_000),
)
