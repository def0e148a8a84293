"""Queue and server decide the options that a request leaves open."""

from typing import Any

import pytest
from msgspec.structs import replace

from jobsvc.domain.created_job import fresh_job
from jobsvc.domain.job import JobState, NewJob
from jobsvc.domain.job_request import RequestedOptions, resolve
from jobsvc.domain.owner import Owner
from jobsvc.domain.queue import Queue, QueuePolicy
from jobsvc.domain.run_policy import RunPolicy, server_defaults
from jobsvc.settings import Settings
from tests.support.samples import JOB_ID, NOW, SECOND

OPEN = RequestedOptions(
    queue="q",
    priority=7,
    schedule_time=None,
    expire_time=None,
    ttl_seconds=60.0,
    run_policy=RunPolicy(),
    fail_if_taken=False,
    labels={"a": "b"},
)
OWNER = Owner("web", "ada", b"hash")
DEFAULTS = server_defaults(Settings())


def queue(**policy: Any) -> Queue:
    run_policy = RunPolicy(**policy)
    return Queue("q", None, False, QueuePolicy(run_policy=run_policy), 5, 6, NOW, NOW, 1)


def test_job_decides_before_its_queue_and_the_queue_before_the_server() -> None:
    asked = replace(OPEN, run_policy=RunPolicy(max_attempts=1))
    of_queue = queue(max_attempts=2, attempt_timeout_seconds=2.0, retention_seconds=2.0)
    got = resolve(asked, of_queue, DEFAULTS).run_policy
    assert got == replace(
        DEFAULTS, max_attempts=1, attempt_timeout_seconds=2.0, retention_seconds=2.0
    )


def test_everything_else_is_taken_over() -> None:
    options = resolve(OPEN, queue(), DEFAULTS)
    assert options.output_schema_id == 6
    same = ("queue", "priority", "schedule_time", "expire_time", "ttl_seconds", "labels")
    assert [getattr(options, name) for name in same] == [getattr(OPEN, name) for name in same]


def test_delay_is_a_schedule_once_the_job_is_created() -> None:
    options = resolve(replace(OPEN, schedule_delay_seconds=0.5), queue(), DEFAULTS)
    job = fresh_job(NewJob(JOB_ID, options, OWNER, None), NOW)
    assert job.schedule_time == job.status.run_time == NOW + SECOND / 2


@pytest.mark.parametrize(
    ("options", "can_begin"),
    [
        ({}, True),
        ({"schedule_time": NOW + 59 * SECOND}, True),
        ({"schedule_time": NOW + 60 * SECOND}, False),
        ({"schedule_delay_seconds": 59.9}, True),
        ({"schedule_delay_seconds": 60.0}, False),
        ({"ttl_seconds": None, "expire_time": NOW}, False),
        ({"ttl_seconds": None, "expire_time": NOW + SECOND, "schedule_time": NOW - SECOND}, True),
        ({"ttl_seconds": None, "expire_time": NOW + SECOND, "schedule_delay_seconds": 1.0}, False),
        ({"ttl_seconds": None, "schedule_delay_seconds": 1.0}, True),
    ],
)
def test_job_can_begin_if_it_may_run_before_it_expires(
    options: dict[str, Any], can_begin: bool
) -> None:
    assert resolve(replace(OPEN, **options), queue(), DEFAULTS).can_begin(NOW) == can_begin


def test_fresh_job_waits() -> None:
    asked = replace(OPEN, schedule_time=NOW + SECOND)
    new = NewJob(JOB_ID, resolve(asked, queue(), DEFAULTS), OWNER, None)
    job = fresh_job(new, NOW)
    assert (job.id, job.owner, job.input) == (new.id, OWNER, None)
    assert (job.create_time, job.read_time) == (NOW, NOW)
    assert job.expire_time == NOW + 60 * SECOND
    assert (job.status.state, job.status.version, job.status.attempt) == (JobState.PENDING, 1, 0)
    assert job.status.run_time == NOW + SECOND
