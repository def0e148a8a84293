"""Looks at a job again until what its caller wants is done with it, or cannot be."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.domain.job import Job
from jobsvc.domain.job_control import Control, check_control
from jobsvc.domain.owner import Owner
from jobsvc.jobs.read import JobReader

T = TypeVar("T")

#: Looks at a job that moves each time before it can be controlled.
_MAX_LOOKS = 10


async def controlled(
    reader: JobReader,
    job_id: str,
    caller: Owner,
    control: Control,
    etag: str,
    act: Callable[[Job], Awaitable[T | None]],
) -> T:
    """Returns the result of `act` on the job as it is now. None says that nothing was done: a
    statement misses a job that moves from table to table meanwhile, and only a later snapshot may
    say what has become of it.

    Raises:
        JobNotFound, JobNotOwned: as `JobReader.read`.
        EtagMismatch, JobStateConflict: as `check_control`.
        DatabaseUnavailable: the job has moved every time.
    """
    for _ in range(_MAX_LOOKS):
        job = await reader.read(job_id, caller, False)
        check_control(job, control, etag)
        result = await act(job)
        if result is not None:
            return result
    raise DatabaseUnavailable("the job changed in between every time; try again")
