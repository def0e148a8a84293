"""Whether jobs go their way, by counts of queues and by what is overdue. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobsvc.domain.finding import Check, Finding, finding, finding_of
from jobsvc.domain.queue import QueueCounts

#: A ready job waits no longer where there is room: workers come and go, a minute is no accident.
_NO_WORKER_SECONDS = 60.0
_BEHIND_SECONDS = 600.0
#: A lease or a job is this late before anybody is told: servers look once a second, and an outage
#: excuses workers for a while.
OVERDUE_SECONDS = 120.0
PURGE_OVERDUE_SECONDS = 3600.0
#: How many are counted of each.
MAX_OVERDUE = 1000
#: Ended jobs that are looked at: the latest of so long.
MAX_ENDS = 1000
ENDS_SECONDS = 3600.0
#: A deployment takes a while.
_VERSIONS_SECONDS = 1800.0
_MIN_FAILED = 5
_FAILED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Overdue:
    """What some server should have done by now, counted up to `MAX_OVERDUE`."""

    leases: int
    expiries: int
    purges: int


@dataclass(frozen=True, slots=True)
class Versions:
    """A queue whose workers are of several versions, since so many seconds."""

    queue: str
    versions: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class RecentEnds:
    """How the latest jobs of a queue ended."""

    queue: str
    ended: int
    failed: int


def check_queues(queues: Sequence[QueueCounts]) -> Iterator[Finding]:
    """Queues whose ready jobs do not run: nobody is there, somebody has paused them, or those who
    are there do not manage. And queues that take no more."""
    open_queues = [q for q in queues if not q.deleting and q.oldest_ready_seconds is not None]
    running = [q for q in open_queues if not q.paused]
    if alone := [q for q in running if not q.workers and _age(q) >= _NO_WORKER_SECONDS]:
        yield finding_of(
            Check.QUEUE_WITHOUT_WORKER,
            "ready jobs and no worker in {n} of the queues: start one (`jobsvc work MODULE`), or"
            " look why it does not connect",
            _described(alone),
        )
    if paused := [q for q in open_queues if q.paused]:
        yield finding_of(
            Check.QUEUE_PAUSED,
            "ready jobs in {n} of the queues that are paused: `jobsvc queues resume QUEUE` lets"
            " them run",
            _described(paused),
        )
    if behind := [q for q in running if q.workers and _age(q) >= _BEHIND_SECONDS]:
        yield finding_of(
            Check.QUEUE_BEHIND,
            "workers do not keep up in {n} of the queues: start more, or look for what holds them"
            " up (`jobsvc workers list`)",
            _described(behind),
        )
    full = [q for q in queues if q.max_waiting is not None and not q.deleting]
    if full := [q for q in full if q.ready + q.scheduled >= (q.max_waiting or 0)]:
        yield finding_of(
            Check.QUEUE_FULL,
            "{n} of the queues are full, and creations are refused (QUEUE_FULL): start more"
            " workers, or raise max_waiting (`jobsvc queues declare`)",
            [f"{q.name}: {q.ready + q.scheduled:,} of {q.max_waiting:,}" for q in full],
        )


def check_overdue(overdue: Overdue) -> Iterator[Finding]:
    """Work of servers that no server has done."""
    for check, number, what, since in (
        (Check.LEASES_OVERDUE, overdue.leases, "leases that ran out", OVERDUE_SECONDS),
        (Check.EXPIRIES_OVERDUE, overdue.expiries, "waiting jobs that expired", OVERDUE_SECONDS),
        (
            Check.PURGES_OVERDUE,
            overdue.purges,
            "jobs whose retention ended",
            PURGE_OVERDUE_SECONDS,
        ),
    ):
        if number:
            count = f"{number:,}" if number < MAX_OVERDUE else f"{MAX_OVERDUE:,} or more"
            yield finding(
                check,
                f"{what} more than {since:.0f} s ago are still there, as no server has seen to them"
                f" ({count}): start one, or look into its log for a duty that fails",
            )._replace(number=number)


def check_versions(queues: Sequence[Versions]) -> Iterator[Finding]:
    """Queues whose workers do not agree for long on what they are."""
    if mixed := [q for q in queues if q.seconds >= _VERSIONS_SECONDS]:
        yield finding_of(
            Check.VERSIONS_DIFFER,
            "workers of several versions in {n} of the queues, for more than half an hour: they may"
            " declare other schemas, of which the newest counts; end the deployment"
            " (`jobsvc workers list`)",
            [f"{q.queue}: {', '.join(q.versions)}" for q in mixed],
        )


def check_ends(ends: Sequence[RecentEnds]) -> Iterator[Finding]:
    """Queues of which most jobs have failed lately."""
    bad = [e for e in ends if e.failed >= _MIN_FAILED and e.failed >= _FAILED_SHARE * e.ended]
    if bad:
        bad.sort(key=lambda e: -e.failed)
        yield finding_of(
            Check.JOBS_FAIL,
            "most jobs of the last hour failed in {n} of the queues: `jobsvc list --queue QUEUE"
            " --state FAILED` and `jobsvc inspect ID` say why",
            [f"{e.queue}: {e.failed:,} of {e.ended:,}" for e in bad],
        )


def _age(queue: QueueCounts) -> float:
    return queue.oldest_ready_seconds or 0.0


def _described(queues: Sequence[QueueCounts]) -> list[str]:
    ordered = sorted(queues, key=_age, reverse=True)
    return [f"{q.name}: {q.ready:,} ready, the oldest for {_age(q):.0f} s" for q in ordered]
