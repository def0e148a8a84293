"""Where lists look for jobs; what they select is compared with SQL in tests/store."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.job import JobState
from jobsvc.domain.job_filter import JobFilter, JobWalk
from jobsvc.domain.job_id import FIRST_ID, LAST_ID, first_job_id

TIMES = st.datetimes(timezones=st.just(UTC))
FAILED = frozenset({JobState.FAILED})


@pytest.mark.parametrize(
    ("wanted", "walk"),
    [
        (JobFilter(), JobWalk.JOB),
        (JobFilter(frozenset({"q"})), JobWalk.JOB),
        (JobFilter(states=FAILED), JobWalk.STATE),
        (JobFilter(states=FAILED | {JobState.PENDING}), JobWalk.STATE),
        (JobFilter(states=FAILED | {JobState.COMPLETED}), JobWalk.JOB),
        (JobFilter(states=FAILED, own_user=True), JobWalk.USER),
        (JobFilter(states=FAILED, own_user=True, own_session=True), JobWalk.SESSION),
    ],
)
def test_fewest_jobs_are_walked(wanted: JobFilter, walk: JobWalk) -> None:
    assert wanted.walk is walk


def test_without_times_all_ids_are_walked() -> None:
    assert JobFilter().id_bounds == (FIRST_ID, LAST_ID)


@given(TIMES, TIMES)
def test_ids_are_bounded_by_the_times_and_a_minute(first: datetime, last: datetime) -> None:
    wanted = JobFilter(create_time_from=first, create_time_until=last)
    minute = timedelta(minutes=1)
    assert wanted.id_bounds == (first_job_id(first, -minute), first_job_id(last, minute))
    low, high = wanted.id_bounds
    assert low >= FIRST_ID
    assert high <= LAST_ID
    assert first > last or low <= high
