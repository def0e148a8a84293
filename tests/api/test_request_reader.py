"""Requests of one call are read as if each came alone, however much they share."""

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.job_filter import read_filter
from jobsvc.api.convert.job_requests import RequestReader
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.errors import InvalidRequest
from jobsvc.domain.owner import Owner
from jobsvc.v1.job_pb2 import JobSpec, RetryPolicy
from jobsvc.v1.job_service_pb2 import CreateJobRequest, JobFilter
from jobsvc.v1.payload_pb2 import Payload
from tests.support.samples import JOB_ID

REQUESTS = st.builds(
    CreateJobRequest,
    spec=st.builds(
        JobSpec,
        queue=st.sampled_from(["p", "q"]),
        input=st.sampled_from([None, Payload(json_text='{"a": 1}')]),
        priority=st.sampled_from([0, 1]),
        ttl=st.sampled_from([None, Duration(seconds=1)]),
        labels=st.sampled_from([{}, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}]),
        unique_key=st.sampled_from(["", "k"]),
        retry_policy=st.sampled_from([None, RetryPolicy(max_attempts=2)]),
    ),
    request_id=st.sampled_from(["", JOB_ID]),
)


@given(st.lists(REQUESTS, max_size=6))
def test_what_requests_share_does_not_show(requests: list[CreateJobRequest]) -> None:
    alone = [RequestReader(1000).read(_copy(r), index) for index, r in enumerate(requests)]
    reader = RequestReader(1000)
    assert [reader.read(_copy(r), index) for index, r in enumerate(requests)] == alone


@given(REQUESTS, REQUESTS)
def test_digests_are_equal_for_equal_specs_only(
    one: CreateJobRequest, other: CreateJobRequest
) -> None:
    one.request_id = other.request_id = JOB_ID
    same = one.spec == other.spec
    digests = [RequestReader(1000).read(r).request_digest for r in (one, other)]
    assert (digests[0] == digests[1]) == same


def test_options_are_shared() -> None:
    reader = RequestReader(1000)
    requests = [
        CreateJobRequest(spec=JobSpec(queue="q", unique_key=key, input=Payload(json_text=text)))
        for key, text in (("", "{}"), ("k", '{"a": 1}'))
    ]
    one, other = (reader.read(request) for request in requests)
    assert one.options is other.options
    assert (other.unique_key, other.input) == ("k", '{"a": 1}')


def test_wordings_that_are_kept_are_few_and_short() -> None:
    reader = RequestReader(1000)
    for number in range(1000):
        reader.read(CreateJobRequest(spec=JobSpec(queue=f"q{number}")))
        # A field that the contract does not know yet is let pass, however long it is.
        unknown = bytes([0xFA, 0x7F]) + bytes([0x80, 0x80, 0x04]) + b"x" * 0x10000
        reader.read(CreateJobRequest(spec=JobSpec.FromString(b"\x0a\x01q" + unknown)))
    assert 0 < len(reader._known) <= 256
    assert sum(map(len, reader._known)) < 256 * 100


def test_digest_is_of_the_own_words() -> None:
    def digest(reader: RequestReader, factor: float) -> bytes | None:
        policy = RetryPolicy(backoff_multiplier=factor)
        spec = JobSpec(queue="q", retry_policy=policy)
        return reader.read(CreateJobRequest(spec=spec, request_id=JOB_ID)).request_digest

    reader = RequestReader(1000)
    assert digest(reader, 0.0) == digest(RequestReader(1000), 0.0)
    assert digest(reader, -0.0) == digest(RequestReader(1000), -0.0)


def test_bad_request_is_named_with_its_place_in_the_batch() -> None:
    spec = JobSpec(queue="q", input=Payload(json_text="[1]"))
    for bad in (CreateJobRequest(), CreateJobRequest(spec=JobSpec()), CreateJobRequest(spec=spec)):
        with pytest.raises(InvalidRequest) as alone:
            RequestReader(1000).read(_copy(bad))
        with pytest.raises(InvalidRequest) as third:
            RequestReader(1000).read(_copy(bad), 2)
        assert type(third.value) is type(alone.value)
        fields = [violation.field for violation in alone.value.violations]
        assert [v.field for v in third.value.violations] == [f"requests[2].{f}" for f in fields]
        assert (alone.value.metadata, third.value.metadata) == ({}, {"index": "2"})


def _copy(request: CreateJobRequest) -> CreateJobRequest:
    return CreateJobRequest.FromString(request.SerializeToString())


def test_equal_filters_share_what_they_hold() -> None:
    """Thousands of watches hold one each."""
    message = JobFilter(queues=["p", "q"], states=[1, 2])

    first, second = (read_filter(RequestChecks(), message, Owner()) for _ in range(2))

    assert first.queues is second.queues
    assert first.states is second.states


def test_nothing_of_a_filter_that_is_refused_is_kept() -> None:
    message = JobFilter(queues=["p", "Q" * 1_000_000])

    refused = read_filter(RequestChecks(), message, Owner())

    assert not refused.queues
