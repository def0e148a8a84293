"""A job to create, with its options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict
from uuid import UUID, uuid4

from jobsvc.client.duration import Duration, to_seconds
from jobsvc.client.job_retry import RetryPolicy
from jobsvc.client.payload import PayloadLike


class JobOptions(TypedDict, total=False):
    """Options of a job beside its queue and input; see `NewJob`."""

    priority: int
    schedule_time: datetime | None
    delay: Duration | None
    expire_time: datetime | None
    ttl: Duration | None
    attempt_timeout: Duration | None
    retry: RetryPolicy | None
    retention: Duration | None
    start_within: Duration | None
    unique_key: str | None
    unique_conflict: Literal["use_existing", "fail"]
    labels: Mapping[str, str] | None
    request_id: str | UUID | None


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to create. To send the same object again is safe: it never makes a second job.

    `input` None is the empty object. A higher `priority` (-100 to 100) leaves
    the queue first. The first attempt starts at `schedule_time`, or `delay`
    after its creation (by the clock of the database), or at once. The job is
    given up at `expire_time`, or `ttl` after its creation, or never; one that
    could never begin is refused. It fails if its first attempt has not begun
    `start_within` after the time at which it may first run. `attempt_timeout`
    bounds one attempt, `retention` is how long the ended job is kept; all three,
    and `retry`, default to the options of the queue.

    At most one job of a queue that has not ended holds a `unique_key`. A second
    creation returns that job (`"use_existing"`), or fails with `UniqueKeyTaken`
    (`"fail"`). `labels` are up to 32 small searchable facts. `request_id` makes
    the creation idempotent until 24 hours after the end of the job, whatever its
    `retention`; one is made if none is given.

    Raises:
        ValueError: two options contradict each other, or a time has no time zone.
    """

    queue: str
    input: PayloadLike | None = None
    priority: int = 0
    schedule_time: datetime | None = None
    delay: Duration | None = None
    expire_time: datetime | None = None
    ttl: Duration | None = None
    attempt_timeout: Duration | None = None
    retry: RetryPolicy | None = None
    retention: Duration | None = None
    start_within: Duration | None = None
    unique_key: str | None = None
    unique_conflict: Literal["use_existing", "fail"] = "use_existing"
    labels: Mapping[str, str] | None = None
    request_id: str | UUID | None = field(default_factory=lambda: str(uuid4()))

    def __post_init__(self) -> None:
        """Fixes the request id, so that each try says the same, and checks what needs no clock."""
        if self.request_id is None:
            object.__setattr__(self, "request_id", str(uuid4()))
        if self.delay is not None and self.schedule_time is not None:
            raise ValueError("schedule_time and delay exclude each other")
        if self.expire_time is not None and self.ttl is not None:
            raise ValueError("expire_time and ttl exclude each other")
        for name in ("schedule_time", "expire_time"):
            time = getattr(self, name)
            if time is not None and time.tzinfo is None:
                raise ValueError(f"{name} needs a time zone")
        delay = 0.0 if self.delay is None else to_seconds(self.delay)
        if self.ttl is not None and to_seconds(self.ttl) <= delay:
            raise ValueError("ttl must be above 0, and longer than delay")
        if self.expire_time and self.schedule_time and self.expire_time <= self.schedule_time:
            raise ValueError("expire_time must be later than schedule_time")
