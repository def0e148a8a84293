"""The order in which statements name leases: two batches that lock the same rows never deadlock."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Protocol, TypeVar

from jobsvc.domain.lease import LeaseId


class _OfLease(Protocol):
    @property
    def id(self) -> LeaseId: ...


Item = TypeVar("Item", bound=_OfLease)


def in_lock_order(items: Sequence[Item]) -> list[list[Item]]:
    """Splits items into parts, one for each statement: usually a single one.

    A part names each job once, in the order of the job ids. Two leases of one job go into
    different parts, since only the database knows which of them is current.
    """
    in_order = sorted(items, key=attrgetter("id"))
    if len({item.id[:36] for item in in_order}) == len(in_order):
        return [in_order] if in_order else []
    of_jobs: dict[str, list[Item]] = {}
    for item in items:
        of_jobs.setdefault(item.id.job_id, []).append(item)
    left = [of_jobs[job_id] for job_id in sorted(of_jobs)]
    parts: list[list[Item]] = []
    while left:
        parts.append([of_job[len(parts)] for of_job in left])
        left = [of_job for of_job in left if len(of_job) > len(parts)]
    return parts
