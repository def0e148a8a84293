"""What is done with all jobs of a filter, and how far that is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from jobsvc.client.job import Job
from jobsvc.client.job_changes import JobChanges
from jobsvc.client.json_form import JsonForm


@dataclass(frozen=True, slots=True)
class BulkCancel:
    """Cancel jobs that have not ended."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class BulkRetry:
    """Queue jobs that FAILED or were CANCELLED again, with 1 to 100 attempts on top of those
    made."""

    extra_attempts: int = 1


@dataclass(frozen=True, slots=True)
class BulkDelete:
    """Remove jobs that have ended."""


@dataclass(frozen=True, slots=True)
class BulkUpdate:
    """Change jobs that wait; `input` cannot be among the changes."""

    changes: JobChanges


BulkAction = BulkCancel | BulkRetry | BulkDelete | BulkUpdate


class BulkState(StrEnum):
    """State of an operation, a text as in the contract."""

    #: A state that this version of the client does not know.
    UNKNOWN = "UNKNOWN"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkError(JsonForm):
    """The job that an operation skipped last, or waits for, and why."""

    job_id: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOperation(JsonForm):
    """An operation as it was when the server answered.

    `kind` is `cancel`, `retry`, `delete` or `update`, `options` has what goes with it and `filter`
    the conditions, under the names of `JobFilter`. `rate` is jobs a second and `most` jobs in all,
    0 for no limit. Of the jobs that match, those created before `position_time` are still to come.
    """

    id: str
    kind: str
    options: Mapping[str, Any]
    filter: Mapping[str, Any]
    rate: float
    most: int
    state: BulkState
    version: int
    done_count: int
    skipped_count: int
    skipped_by_reason: Mapping[str, int]
    last_error: BulkError | None = None
    position_time: datetime | None = None
    create_time: datetime | None = None
    update_time: datetime | None = None
    end_time: datetime | None = None
    purge_time: datetime | None = None
    service: str = ""
    user_id: str = ""
    has_session: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is over, complete or stopped."""
        return self.end_time is not None or self.state in (BulkState.COMPLETED, BulkState.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPreview(JsonForm):
    """What an operation would touch: how many jobs, and up to ten of them."""

    count: int
    is_estimate: bool
    sample: tuple[Job, ...] = field(default=())
