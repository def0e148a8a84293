"""What a request leaves open is up to the queue, then to the server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.creation import JobRequest, fresh_job, resolve
from jobsvc.job import JobState, Owner
from jobsvc.queue import Queue, QueuePolicy
from jobsvc.settings import Settings
from jobsvc.store.jobs import Created

from .samples import JOB_ID, NOW, SECOND

OPEN = JobRequest(
    queue="q",
    input='{"a": 1}',
    payload={"a": 1},
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
    unique_key="key",
    fail_if_taken=False,
    labels={"a": "b"},
    request_id=JOB_ID,
    request_digest=b"digest",
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


def resolved(request: JobRequest, of_queue: Queue, name: str) -> float:
    new = resolve(request, of_queue, SETTINGS, OWNER)
    value: float = getattr(new if hasattr(new, name) else new.retry, name)
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
    new = resolve(request, queue(retention_seconds=of_queue), SETTINGS, OWNER)
    assert new.retention_seconds == (of_queue if asked is None else asked)


def test_everything_else_is_taken_over() -> None:
    new = resolve(OPEN, queue(), SETTINGS, OWNER)
    assert new.owner == OWNER
    assert new.output_schema_id == 6
    same = ("queue", "input", "priority", "schedule_time", "expire_time", "ttl_seconds")
    same += ("unique_key", "labels", "request_id", "request_digest")
    assert [getattr(new, name) for name in same] == [getattr(OPEN, name) for name in same]


def test_every_job_has_an_id_of_its_own() -> None:
    ids = {resolve(OPEN, queue(), SETTINGS, OWNER).id for _ in range(10)}
    assert len(ids) == 10


def test_fresh_job_waits_as_the_database_says() -> None:
    new = resolve(OPEN, queue(), SETTINGS, OWNER)
    job = fresh_job(new, Created(NOW, NOW + 60 * SECOND, NOW + SECOND))
    assert (job.id, job.owner, job.input) == (new.id, OWNER, None)
    assert (job.create_time, job.read_time) == (NOW, NOW)
    assert job.expire_time == NOW + 60 * SECOND
    assert (job.status.state, job.status.version, job.status.attempt) == (JobState.PENDING, 1, 0)
    assert job.status.run_time == NOW + SECOND
