"""The command line of `python -m bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.scenarios.catalog import SCENARIOS

#: Every kind of measurement once.
_SMOKE = (
    *("create-32", "client-create-32", "batch-create", "drain", "drain-1m-2-workers"),
    *("life-cycle", "cycles", "latency", "client-latency"),
)

#: Where TLS and tokens are on every call, or on few of many jobs.
_SECURED = ("create-32", "batch-create", "drain")

_JOBSVC = ("jobsvc", "jobsvc x2")
#: What metrics may cost something of.
_COUNTED = ("create-32", "client-create-32", "batch-create", "drain", "drain-2-workers")


@dataclass(frozen=True, slots=True)
class Options:
    """The systems and scenarios to measure, and where the findings go. No systems means all."""

    rounds: int
    jobs: int
    backlog: int
    scenarios: tuple[str, ...]
    systems: tuple[str, ...]
    peers: bool
    beside: Path | None
    #: How many processes of one server are compared with one; 0 for no such comparison.
    processes: int
    secured: bool
    metrics: bool
    json_path: Path
    chart_folder: Path | None

    @property
    def label(self) -> str:
        """Ends the names of the systems that ours are compared with; empty without any."""
        if self.processes:
            return f" in {self.processes} processes"
        if self.secured:
            return " without TLS and tokens"
        if self.metrics:
            return " without metrics"
        return f" @ {self.beside.name}" if self.beside else ""


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Parses the command line; exits with an explanation when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures jobsvc on this machine beside what bounds it, on a PostgreSQL of"
        " its own (below TMPDIR), and checks every result. Exit code 1: a result was wrong.",
        epilog="Scenarios: " + ", ".join(SCENARIOS) + ".",
    )
    parser.add_argument(
        "--rounds", type=_positive, default=3, metavar="N", help="measure each N times (3)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(SCENARIOS), metavar="SCENARIO", help="not all scenarios"
    )
    parser.add_argument(
        "--systems",
        nargs="+",
        default=[],
        metavar="SYSTEM",
        help="not all systems: ceiling, echo, jobsvc, 'jobsvc x2' (two servers), or a peer",
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="jobs of a drain (40000); single creates take an eighth, with one caller a 32nd,"
        " latency a 128th",
    )
    parser.add_argument(
        "--backlog",
        type=_positive,
        metavar="N",
        help="jobs that wait behind in the drain-1m scenarios (1000000)",
    )
    parser.add_argument("--peers", action="store_true", help="with the peers of bench/peers")
    comparison = parser.add_mutually_exclusive_group()
    comparison.add_argument(
        "--metrics",
        action="store_true",
        help="measure creates and drains alternately with metrics that are read every 5 s, and"
        " without, and print the ratios",
    )
    comparison.add_argument(
        "--beside",
        type=_checkout,
        metavar="PATH",
        help="measure jobsvc alternately with the server and worker of another checkout, and no"
        " other systems unless named, and print the ratios",
    )
    comparison.add_argument(
        "--processes",
        type=_positive,
        default=0,
        metavar="N",
        help="measure jobsvc alternately with one server of N processes on one port, and no other"
        " systems unless named, and print the ratios",
    )
    comparison.add_argument(
        "--secured",
        action="store_true",
        help="measure jobsvc with TLS and a verified token on every call, alternately with jobsvc"
        " without, and print the ratios; by default create-32, batch-create and drain",
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/bench/results.json"), metavar="PATH"
    )
    parser.add_argument(
        "--chart", type=Path, metavar="DIR", help="write results.md, performance.png and .svg there"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="once and tiny: says that it works, not how fast"
    )
    chosen = parser.parse_args(arguments)
    return Options(
        rounds=1 if chosen.smoke else chosen.rounds,
        jobs=chosen.jobs or (1_000 if chosen.smoke else 40_000),
        backlog=chosen.backlog or (2_000 if chosen.smoke else 1_000_000),
        scenarios=tuple(
            chosen.only
            or (_COUNTED if chosen.metrics else _SECURED if chosen.secured else None)
            or (_SMOKE if chosen.smoke else SCENARIOS)
        ),
        systems=_systems(chosen),
        peers=chosen.peers,
        beside=chosen.beside,
        processes=chosen.processes,
        secured=chosen.secured,
        metrics=chosen.metrics,
        json_path=chosen.json,
        chart_folder=chosen.chart,
    )


def _systems(chosen: argparse.Namespace) -> tuple[str, ...]:
    """The systems that are asked for; none means all."""
    if chosen.secured:
        # What gRPC alone takes for it.
        return ("echo", "jobsvc")
    if chosen.metrics:
        return ("jobsvc",)
    compared = ("jobsvc",) if chosen.processes else _JOBSVC if chosen.beside else ()
    return tuple(chosen.systems or compared)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


def _checkout(text: str) -> Path:
    folder = Path(text).resolve()
    if not all((folder / part).is_dir() for part in ("src/jobsvc", "bench")):
        raise argparse.ArgumentTypeError(f"{folder} is no checkout of jobsvc")
    return folder
