"""How many workers a queue needs, for an autoscaler. Pure.

The autoscaler divides the value by the target and rounds up: that is the number of workers. Its own
number of replicas is not looked at, so a value means the same whatever runs now.
"""

from dataclasses import dataclass
from enum import StrEnum

from jobsvc.domain.queue import QueueCounts


class ScaleBy(StrEnum):
    """Measure by which the workers of a queue are counted."""

    #: Jobs that are ready or running; the target is how many of them one worker is for.
    DEPTH = "depth"
    #: Seconds that the oldest ready job has waited, for each worker; the target is how many it may.
    AGE = "age"
    #: Ready and running jobs against the window of a worker as it is seen; the target is the share
    #: of the windows that may be full.
    WINDOW = "window"


#: The target where none is asked for; eight jobs are what a worker of the SDK runs at a time.
DEFAULT_TARGETS = {ScaleBy.DEPTH: 8.0, ScaleBy.AGE: 30.0, ScaleBy.WINDOW: 1.0}


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """By what to scale the workers of a queue."""

    queue: str
    by: ScaleBy
    #: Above zero.
    target: float
    #: Without running jobs, no worker is needed for so many ready jobs, or for ready jobs that have
    #: not waited for so many seconds (AGE).
    activation: float

    @property
    def metric_name(self) -> str:
        """Name of the metric, one for each rule of a queue."""
        return f"jobsvc-{self.by}-{self.queue}"


def scale_value(rule: ScaleRule, counts: QueueCounts) -> float:
    """Returns the value whose share of the target is the number of workers that are needed.

    Never more workers than jobs that are ready or running; never fewer than work on jobs now, so
    that long ones are not scaled away. Jobs that are not due do not count, nor ready ones of a
    queue that dispatches none.
    """
    ready = _dispatchable(counts)
    jobs = ready + counts.processing
    if rule.by is ScaleBy.DEPTH:
        value = float(jobs)
    elif rule.by is ScaleBy.AGE:
        waited_seconds = (counts.oldest_ready_seconds or 0.0) if ready else 0.0
        value = waited_seconds * max(counts.workers, 1)
    else:
        value = _workers_by_window(counts, jobs)
    # Jobs may run while no replica has seen their workers for some seconds.
    least = min(max(counts.busy_workers, 1), counts.processing)
    return max(min(value, jobs * rule.target), least * rule.target)


def is_active(rule: ScaleRule, counts: QueueCounts) -> bool:
    """Returns whether there should be any worker."""
    if counts.processing:
        return True
    ready = _dispatchable(counts)
    if rule.by is ScaleBy.AGE:
        return ready > 0 and (counts.oldest_ready_seconds or 0.0) >= rule.activation
    return ready > rule.activation


def _dispatchable(counts: QueueCounts) -> int:
    return 0 if counts.paused or counts.deleting else counts.ready


def _workers_by_window(counts: QueueCounts, jobs: int) -> float:
    """Returns how many workers would be full with so many jobs."""
    if not counts.workers:
        # The first one that comes shows how much a worker takes.
        return min(jobs, 1)
    slots = counts.processing + counts.open_window
    return jobs * counts.workers / max(slots, counts.workers)
