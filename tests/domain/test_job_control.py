"""What a caller may do with a job in which state, and which change leaves it a chance to begin."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.domain.errors import EtagMismatch, InvalidRequest, JobStateConflict
from jobsvc.domain.job import ENDED, TRANSITIONS, JobOptions, JobState
from jobsvc.domain.job_control import (
    ALLOWED,
    Control,
    JobChange,
    check_can_begin,
    check_control,
    is_cancelled,
)
from tests.support.samples import NOW, RUN_POLICY, job

STATES = st.sampled_from(JobState)
CONTROLS = st.sampled_from(Control)
#: Seconds from now; None for a time that is not set.
SECONDS = st.none() | st.integers(-100, 100)


@given(STATES, CONTROLS)
def test_call_is_refused_by_the_state_and_names_it(state: JobState, control: Control) -> None:
    one = job(state=state)
    if state in ALLOWED[control]:
        check_control(one, control, "")
        check_control(one, control, one.etag)
        return
    with pytest.raises(JobStateConflict, match=state.name) as caught:
        check_control(one, control, one.etag)
    assert caught.value.metadata == {"jobId": one.id, "state": state.name}


@given(STATES, CONTROLS, st.integers(2, 2**62))
def test_etag_of_another_version_comes_before_the_state(
    state: JobState, control: Control, version: int
) -> None:
    with pytest.raises(EtagMismatch):
        check_control(job(state=state, version=version), control, job(state=state).etag)


def test_calls_do_what_the_table_of_transitions_allows() -> None:
    back = {state for state in ENDED if JobState.PENDING in TRANSITIONS[state]}
    assert ALLOWED[Control.RETRY] == back
    ends = {state for state in JobState if JobState.CANCELLED in TRANSITIONS[state]}
    assert ALLOWED[Control.CANCEL] == ends | {JobState.CANCELLED}
    assert ALLOWED[Control.DELETE] == ENDED


def test_cancel_is_done_or_requested() -> None:
    assert is_cancelled(job(state=JobState.CANCELLED))
    assert is_cancelled(job(state=JobState.PROCESSING, cancel_request_time=NOW))
    assert not is_cancelled(job(state=JobState.PROCESSING))


@given(SECONDS, SECONDS, st.sets(st.sampled_from(["schedule_time", "expire_time"]), min_size=1))
def test_changed_job_must_be_one_that_could_be_created_so(
    begin: int | None, end: int | None, fields: set[str]
) -> None:
    times = {
        "schedule_time": None if begin is None else NOW + timedelta(seconds=begin),
        "expire_time": None if end is None else NOW + timedelta(seconds=end),
    }
    before = replace(job(run_time=max(times["schedule_time"] or NOW, NOW)), **times)
    change = JobChange(frozenset(fields), **{name: times[name] for name in fields})
    options = JobOptions(
        queue="q",
        priority=0,
        ttl_seconds=None,
        run_policy=RUN_POLICY,
        labels={},
        output_schema_id=None,
        **times,
    )
    if options.can_begin(NOW):
        check_can_begin(change, before.expire_time, before.status.run_time, NOW)
        return
    with pytest.raises(InvalidRequest) as caught:
        check_can_begin(change, before.expire_time, before.status.run_time, NOW)
    (violation,) = caught.value.violations
    assert violation.field.removeprefix("spec.") in fields


@given(st.integers(-100, 100))
def test_job_whose_time_is_over_may_change_in_other_ways(end: int) -> None:
    old = replace(job(), expire_time=NOW + timedelta(seconds=end))
    change = JobChange(frozenset({"priority", "labels", "input"}))
    check_can_begin(change, old.expire_time, old.status.run_time, NOW)
