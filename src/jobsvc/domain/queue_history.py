"""What has become of the jobs of a queue, minute by minute: how counts are added up, and what
percentiles histograms have. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, zip_longest

from google.rpc import code_pb2

from jobsvc.telemetry.job_tallies import BOUNDARIES, QueueTally

#: What a position in the counts of failures stands for: the number of a code, then reasons of ours.
#: Positions are stored, so new ones come at the end.
REASONS = (
    *(code_pb2.Code.Name(number) for number in range(17)),
    "LEASE_EXPIRED",
    "ATTEMPT_TIMEOUT",
    "CANCEL_GRACE",
    "JOB_EXPIRED",
    "START_DEADLINE",
    "OUTPUT_REJECTED",
    "OUTCOME_REJECTED",
)
_POSITIONS = {reason: position for position, reason in enumerate(REASONS)}
_MINUTE = timedelta(minutes=1)

#: Minutes that are kept, and queues of a replica that one minute has: the busiest ones.
KEPT_MINUTES = 1440
MAX_QUEUES = 500
#: Minutes in what a queue has done lately.
RECENT_MINUTES = 5


@dataclass(frozen=True, slots=True)
class QueueMinute:
    """The counts of one queue in one minute. `failed` is by `REASONS`, `wait` and `run` by
    `BOUNDARIES`; zeros at the end may be missing. `ready` and `processing` are what waited and ran
    when somebody looked."""

    minute: datetime
    created: int
    completed: int
    cancelled: int
    retried: int
    ready: int
    processing: int
    failed: Sequence[int]
    wait: Sequence[int]
    run: Sequence[int]


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of durations, in seconds, and of how many."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """The counts of one queue in a number of minutes; the percentiles are None where there is
    nothing to take them of, `ready` and `processing` the most of any minute."""

    start_time: datetime
    minutes: int
    created: int
    completed: int
    cancelled: int
    failed: Mapping[str, int]
    retried: int
    ready: int
    processing: int
    wait: Percentiles | None
    run: Percentiles | None


def add_counts(*counts: Sequence[int]) -> list[int]:
    """Adds counts position by position; short ones have zeros at their end."""
    return [sum(column) for column in zip_longest(*counts, fillvalue=0)]


def percentile(counts: Sequence[int], fraction: float) -> float:
    """Returns the duration that this fraction of all does not exceed, from a histogram by
    `BOUNDARIES` with at least one.

    The values of a bucket count as spread evenly over it, as `histogram_quantile` of Prometheus
    has it, so the answer is in the bucket of the true one: at most half too much or a third too
    little, and 1 ms. Beyond the last boundary it is that boundary.
    """
    sums = list(accumulate(counts))
    wanted = fraction * sums[-1]
    bucket = next(n for n, reached in enumerate(sums) if reached >= wanted and counts[n])
    if bucket == len(BOUNDARIES):
        return BOUNDARIES[-1]
    low = BOUNDARIES[bucket - 1] if bucket else 0.0
    before = sums[bucket] - counts[bucket]
    part = (wanted - before) / counts[bucket]
    return low + (BOUNDARIES[bucket] - low) * min(max(part, 0.0), 1.0)


def percentiles(counts: Sequence[int]) -> Percentiles | None:
    """Returns the percentiles of a histogram; None if it is empty."""
    total = sum(counts)
    if not total:
        return None
    return Percentiles(total, *(percentile(counts, fraction) for fraction in (0.5, 0.95, 0.99)))


def step_of(start_time: datetime, length: int, minutes: Sequence[QueueMinute]) -> HistoryStep:
    """Returns a step of so many minutes, of which these have counts."""
    failed = add_counts(*(minute.failed for minute in minutes))
    return HistoryStep(
        start_time,
        length,
        sum(minute.created for minute in minutes),
        sum(minute.completed for minute in minutes),
        sum(minute.cancelled for minute in minutes),
        {_reason(position): count for position, count in enumerate(failed) if count},
        sum(minute.retried for minute in minutes),
        max((minute.ready for minute in minutes), default=0),
        max((minute.processing for minute in minutes), default=0),
        percentiles(add_counts(*(minute.wait for minute in minutes))),
        percentiles(add_counts(*(minute.run for minute in minutes))),
    )


def steps_of(
    minutes: Iterable[QueueMinute], end: datetime, window: int, step: int
) -> Iterator[HistoryStep]:
    """Yields the steps of the `window` minutes before `end`, oldest first, `step` minutes each;
    steps in which nothing happened, too. The window is a whole number of steps."""
    found: dict[int, list[QueueMinute]] = {}
    begin = end - window * _MINUTE
    for minute in minutes:
        found.setdefault((minute.minute - begin) // _MINUTE // step, []).append(minute)
    for number in range(window // step):
        yield step_of(begin + number * step * _MINUTE, step, found.get(number, ()))


@dataclass(frozen=True, slots=True)
class CountedMinute:
    """What a replica has counted in a minute, ready to be stored: a value for each queue."""

    queues: Sequence[str]
    created: Sequence[int]
    completed: Sequence[int]
    cancelled: Sequence[int]
    retried: Sequence[int]
    failed: Sequence[Sequence[int]]
    wait: Sequence[Sequence[int]]
    run: Sequence[Sequence[int]]


def counted_minute(
    tallies: Mapping[str, QueueTally], max_queues: int = MAX_QUEUES
) -> CountedMinute | None:
    """Returns the counts of the busiest queues, None if there are none."""
    sizes = {queue: _size(tally) for queue, tally in tallies.items()}
    busy = sorted((queue for queue, size in sizes.items() if size), key=lambda queue: -sizes[queue])
    if not busy:
        return None
    kept = [tallies[queue] for queue in busy[:max_queues]]
    return CountedMinute(
        busy[:max_queues],
        [tally.created for tally in kept],
        [tally.completed for tally in kept],
        [tally.cancelled for tally in kept],
        [tally.retried for tally in kept],
        [_by_position(tally.failed) for tally in kept],
        [_without_zeros(tally.wait) for tally in kept],
        [_without_zeros(tally.run) for tally in kept],
    )


def _size(tally: QueueTally) -> int:
    return (
        tally.created + tally.cancelled + sum(tally.failed.values()) + sum(tally.wait + tally.run)
    )


def _by_position(failed: Mapping[str, int]) -> list[int]:
    counts = [0] * len(REASONS)
    for reason, count in failed.items():
        # A reason that has no position is one of a later release, or a defect.
        counts[_POSITIONS.get(reason, _POSITIONS["UNKNOWN"])] += count
    return _without_zeros(counts)


def _without_zeros(counts: Sequence[int]) -> list[int]:
    """The counts without the zeros at their end."""
    end = next((n for n in range(len(counts), 0, -1) if counts[n - 1]), 0)
    return list(counts[:end])


def _reason(position: int) -> str:
    """The name of a position; of one that a later release has written, too."""
    return REASONS[position] if position < len(REASONS) else "UNKNOWN"
