"""Which fault happens when: a pure function of a seed."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

#: Nothing happens before the load is there, and in the last seconds recovery can be seen.
_FIRST_SECONDS = 2.0
_LAST_SECONDS = 3.0
#: From the beginning of one fault to that of the next; they may overlap.
_GAP_SECONDS = (1.0, 4.0)
#: The next attempt has just begun when the worker of the last one wakes up.
_OUTLIVES_A_LEASE_SECONDS = 3.7


class Kind(StrEnum):
    """What is done, and to whom."""

    KILL_SERVER = "kill server"
    FREEZE_SERVER = "freeze server"
    RESTART_SERVER = "restart server"
    KILL_WORKER = "kill worker"
    FREEZE_WORKER = "freeze worker"
    POISON_WORKER = "poison worker"
    KILL_POSTGRES = "kill postgres"
    END_SESSIONS = "end sessions"
    LOCK_TABLES = "lock tables"
    HOLD_TRANSACTION = "hold transaction"
    CUT_WORKERS = "cut workers"
    SILENCE_WORKERS = "silence workers"
    EAT_ANSWERS = "eat answers"


ALL = frozenset(Kind)
#: How long each lasts, in seconds. A lease lasts 3 s: some freezes outlive it, and some do not.
SECONDS: dict[Kind, tuple[float, float]] = {
    Kind.KILL_SERVER: (0.0, 2.0),
    Kind.FREEZE_SERVER: (0.5, 6.0),
    Kind.RESTART_SERVER: (0.0, 0.0),
    Kind.KILL_WORKER: (0.0, 2.0),
    Kind.FREEZE_WORKER: (1.0, 6.0),
    Kind.POISON_WORKER: (0.0, 0.0),
    Kind.KILL_POSTGRES: (0.0, 0.0),
    Kind.END_SESSIONS: (0.0, 0.0),
    Kind.LOCK_TABLES: (1.0, 6.0),
    Kind.HOLD_TRANSACTION: (3.0, 10.0),
    Kind.CUT_WORKERS: (0.0, 0.0),
    Kind.SILENCE_WORKERS: (0.0, 0.0),
    Kind.EAT_ANSWERS: (0.2, 1.0),
}
_OF_SERVERS = {
    Kind.KILL_SERVER,
    Kind.FREEZE_SERVER,
    Kind.RESTART_SERVER,
}
_OF_WORKERS = {Kind.KILL_WORKER, Kind.FREEZE_WORKER}


@dataclass(frozen=True)
class Planned:
    """A fault to come: `begin_seconds` after the start, on the server or worker number `victim`.
    Those of connections have the server that has most of them then."""

    begin_seconds: float
    kind: Kind
    victim: int
    seconds: float


def plan_faults(
    seed: int, run_seconds: float, servers: int, workers: int, of: Collection[Kind] = ALL
) -> list[Planned]:
    """The faults of a run, of these kinds. Every kind comes once before any comes again."""
    dice = random.Random(seed)
    kinds = _shuffled_for_ever(dice, of)
    planned: list[Planned] = []
    begin = _FIRST_SECONDS
    while begin < run_seconds - _LAST_SECONDS:
        kind = next(kinds)
        victims = servers if kind in _OF_SERVERS else workers if kind in _OF_WORKERS else 1
        seconds = _seconds(dice, kind)
        planned.append(Planned(round(begin, 2), kind, dice.randrange(victims), round(seconds, 2)))
        begin += dice.uniform(*_GAP_SECONDS)
    return planned


def _seconds(dice: random.Random, kind: Kind) -> float:
    low, high = SECONDS[kind]
    if kind is Kind.FREEZE_WORKER:
        return dice.triangular(low, high, _OUTLIVES_A_LEASE_SECONDS)
    return dice.uniform(low, high)


def _shuffled_for_ever(dice: random.Random, of: Collection[Kind]) -> Iterator[Kind]:
    while True:
        kinds = sorted(of)
        dice.shuffle(kinds)
        yield from kinds
