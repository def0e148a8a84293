"""Which attempts have run out of time. Pure."""

from collections.abc import Iterable
from math import inf

from jobsvc.worker.running_attempt import RunningAttempt


def sort_by_time(
    attempts: Iterable[RunningAttempt], now: float
) -> tuple[list[RunningAttempt], list[RunningAttempt], float]:
    """Returns who is past the deadline, who waited for too long, and the next time to look.

    Time is held against a job only once its processor has begun.
    """
    earliest = inf
    late = []
    waited = []
    for attempt in attempts:
        until = attempt.deadline if attempt.begun else attempt.begin_by
        if until > now:
            earliest = min(earliest, until)
        elif attempt.begun:
            late.append(attempt)
        else:
            waited.append(attempt)
    return late, waited, earliest
