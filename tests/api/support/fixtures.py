"""Types of the fixtures of these tests."""

from collections.abc import Awaitable, Callable

from jobsvc.v1 import job_pb2

#: The queue that `create` uses.
QUEUE = "q"

Status = Callable[[str], Awaitable[job_pb2.JobStatus]]
Create = Callable[..., Awaitable[job_pb2.Job]]
Tables = Callable[[], Awaitable[dict[str, list[str]]]]
