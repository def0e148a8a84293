"""The table of run options: complete, and the same for jobs and queues."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.run_policy import (
    _OPTIONS,
    OPTION_PATHS,
    OptionsMessage,
    fields_below,
    merge_run_policy,
    read_run_policy,
    write_run_policy,
)
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.v1.job_pb2 import JobSpec
from jobsvc.v1.queue_service_pb2 import Queue

#: Values that every option may have, or none.
policies = st.lists(
    st.none() | st.integers(1, 10), min_size=len(_OPTIONS), max_size=len(_OPTIONS)
).map(lambda values: RunPolicy(*values))


def test_table_has_a_row_for_every_field_in_order() -> None:
    assert tuple(option.field for option in _OPTIONS) == RunPolicy.__struct_fields__


def test_paths_are_fields_of_jobs_and_queues_and_cover_every_option() -> None:
    for message in (JobSpec, Queue):
        assert set(OPTION_PATHS) <= set(message.DESCRIPTOR.fields_by_name)
    assert set(fields_below(OPTION_PATHS)) == set(RunPolicy.__struct_fields__)
    assert list(fields_below(["retention", "name"])) == ["retention_seconds"]


@given(policies)
def test_what_is_written_is_read(policy: RunPolicy) -> None:
    messages: list[OptionsMessage] = [JobSpec(), Queue()]
    for message in messages:
        write_run_policy(message, policy)
        checks = RequestChecks()
        assert read_run_policy(checks, "x", message) == policy
        assert not checks.violations
        assert (message.ByteSize() == 0) == (set(astuple(policy)) == {None})


@given(policies)
def test_merged_policy_equals_the_written_one(policy: RunPolicy) -> None:
    written, merged = JobSpec(queue="q"), JobSpec(queue="q")
    write_run_policy(written, policy)
    merge_run_policy(merged, policy)
    assert merged == written
