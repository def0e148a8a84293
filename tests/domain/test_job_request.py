"""What a request leaves open is up to the queue, then to the server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.domain.created_job import fresh_job
from jobsvc.domain.job import JobState, NewJob
from jobsvc.domain.job_request import RequestedOptions, resolve
from jobsvc.domain.owner import Owner
from jobsvc.domain.queue import Queue, QueuePolicy
from jobsvc.settings import Settings
from tests.support.samples import JOB_ID, NOW, SECOND

OPEN = RequestedOptions(
    queue="q",
    priority=7,
    schedule_time=None,
    expire_time=None,
    ttl_seconds=60.0,
    attempt_timeout_seconds=None,
    max_attempts=None,
    initial_backoff_seconds=None,
    max_backoff_seconds=None,
    backoff_multiplier=None,
    retention_seconds=None,
    fail_if_taken=False,
    labels={"a": "b"},
)
OWNER = Owner("web", "ada", b"hash")
SETTINGS = Settings()
#: Names in the request, the policy of the queue and the settings alike.
SHARED = [
    "attempt_timeout_seconds",
    "max_attempts",
    "initial_backoff_seconds",
    "max_backoff_seconds",
    "backoff_multiplier",
]


def queue(**policy: Any) -> Queue:
    return Queue("q", False, QueuePolicy(**policy), 5, 6, NOW, NOW, 1)


def resolved(asked: RequestedOptions, of_queue: Queue, name: str) -> float:
    options = resolve(asked, of_queue, SETTINGS)
    value: float = getattr(options if hasattr(options, name) else options.retry, name)
    return value


@pytest.mark.parametrize("name", SHARED)
@given(asked=st.none() | st.integers(0, 9), of_queue=st.none() | st.integers(0, 9))
def test_first_that_says_something_decides(
    name: str, asked: int | None, of_queue: int | None
) -> None:
    expected = next(v for v in (asked, of_queue, getattr(SETTINGS, name)) if v is not None)
    assert resolved(replace(OPEN, **{name: asked}), queue(**{name: of_queue}), name) == expected


@given(asked=st.none() | st.floats(0, 9), of_queue=st.none() | st.floats(0, 9))
def test_retention_is_left_open_for_the_end(asked: float | None, of_queue: float | None) -> None:
    request = replace(OPEN, retention_seconds=asked)
    options = resolve(request, queue(retention_seconds=of_queue), SETTINGS)
    assert options.retention_seconds == (of_queue if asked is None else asked)


def test_everything_else_is_taken_over() -> None:
    options = resolve(OPEN, queue(), SETTINGS)
    assert options.output_schema_id == 6
    same = ("queue", "priority", "schedule_time", "expire_time", "ttl_seconds", "labels")
    assert [getattr(options, name) for name in same] == [getattr(OPEN, name) for name in same]


def test_fresh_job_waits() -> None:
    asked = replace(OPEN, schedule_time=NOW + SECOND)
    new = NewJob(JOB_ID, resolve(asked, queue(), SETTINGS), OWNER, None)
    job = fresh_job(new, NOW)
    assert (job.id, job.owner, job.input) == (new.id, OWNER, None)
    assert (job.create_time, job.read_time) == (NOW, NOW)
    assert job.expire_time == NOW + 60 * SECOND
    assert (job.status.state, job.status.version, job.status.attempt) == (JobState.PENDING, 1, 0)
    assert job.status.run_time == NOW + SECOND
