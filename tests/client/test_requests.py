"""Options of a caller, as they go on the wire."""

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

import msgspec
import pytest

from jobsvc.client import JobOptions, NewJob, RetryPolicy
from jobsvc.client.convert.batches import MAX_BATCH_BYTES, batch_requests
from jobsvc.client.convert.job_requests import create_request, get_request
from jobsvc.client.payload import encode_payload
from jobsvc.v1 import job_pb2, payload_pb2


@dataclass
class Point:
    x: int
    y: int


class Page(msgspec.Struct):
    url: str
    depth: int = 1


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
        (Point(1, 2), '{"x":1,"y":2}'),
        (Page("u"), '{"url":"u","depth":1}'),
        (
            {"c": Colour.RED, 7: datetime(2030, 1, 1, tzinfo=UTC)},
            '{"c":"red","7":"2030-01-01T00:00:00Z"}',
        ),
        ('{ "kept": "as it is" }', '{ "kept": "as it is" }'),
        ({"big": 2**70}, '{"big":1180591620717411303424}'),
    ],
)
def test_payload_becomes_json_text(payload: object, text: str) -> None:
    assert encode_payload(payload) == text


@pytest.mark.parametrize("payload", [[1], 7, b"{}", {"a": float("nan")}, {"a": float("inf")}])
def test_a_payload_must_be_a_finite_json_object(payload: object) -> None:
    with pytest.raises(ValueError, match=r"object|JSON compliant"):
        encode_payload(payload)


def test_a_payload_without_json_form_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        encode_payload({"a": object()})


def test_every_option_arrives() -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    request = create_request(
        NewJob(
            "news",
            {"a": 1},
            priority=7,
            schedule_time=start,
            expire_time=start + timedelta(hours=1),
            attempt_timeout=1.5,
            retry=RetryPolicy(5, 0.25, timedelta(minutes=1), 3.0),
            retention=0,
            start_within=timedelta(seconds=30),
            unique_key="k",
            unique_conflict="fail",
            labels={"team": "x"},
            request_id="b6f1c7e2-0000-4000-8000-000000000000",
        ),
        validate_only=True,
    )
    spec = request.spec
    assert request.request_id == "b6f1c7e2-0000-4000-8000-000000000000"
    assert request.validate_only
    assert (spec.queue, spec.input.json_text, spec.priority) == ("news", '{"a":1}', 7)
    assert spec.schedule_time.ToDatetime(tzinfo=UTC) == start
    assert spec.expire_time.ToDatetime(tzinfo=UTC) == start + timedelta(hours=1)
    assert not spec.HasField("schedule_delay")
    assert not spec.HasField("ttl")
    assert spec.attempt_timeout.ToNanoseconds() == 1_500_000_000
    assert spec.HasField("retention")
    assert spec.retention.seconds == 0
    assert spec.start_within.seconds == 30
    assert spec.retry_policy.max_attempts == 5
    assert spec.retry_policy.initial_backoff.ToNanoseconds() == 250_000_000
    assert spec.retry_policy.max_backoff.seconds == 60
    assert spec.retry_policy.backoff_multiplier == 3.0
    assert spec.unique_key == "k"
    assert spec.unique_conflict_policy == job_pb2.UNIQUE_CONFLICT_POLICY_FAIL
    assert dict(spec.labels) == {"team": "x"}


def test_an_option_not_given_is_not_sent() -> None:
    spec = create_request(NewJob("news")).spec
    assert [field.name for field, _ in spec.ListFields()] == ["queue"]


def test_options_are_the_fields_of_a_new_job() -> None:
    fields = set(NewJob.__dataclass_fields__) - {"queue", "input"}
    assert set(JobOptions.__annotations__) == fields


def test_a_new_job_says_the_same_each_time_it_is_sent() -> None:
    job = NewJob("news", delay=60)
    assert create_request(job) == create_request(job)
    assert create_request(job).request_id
    assert create_request(NewJob("news")).request_id != create_request(job).request_id


def test_relative_times_stay_relative() -> None:
    spec = create_request(NewJob("news", delay=timedelta(seconds=1.5), ttl=3600)).spec
    assert spec.schedule_delay.ToNanoseconds() == 1_500_000_000
    assert spec.ttl.seconds == 3600
    assert not spec.HasField("schedule_time")
    assert not spec.HasField("expire_time")


@pytest.mark.parametrize(
    "options",
    [
        {"delay": 1, "schedule_time": datetime(2030, 1, 1, tzinfo=UTC)},
        {"ttl": 1, "expire_time": datetime(2030, 1, 1, tzinfo=UTC)},
        {"schedule_time": datetime(2030, 1, 1)},
        {"delay": float("nan")},
        {"ttl": float("inf")},
        {"ttl": 60, "delay": timedelta(minutes=1)},
        {"ttl": 59.9, "delay": 60},
        {"ttl": 0},
        {
            "schedule_time": datetime(2030, 1, 1, tzinfo=UTC),
            "expire_time": datetime(2030, 1, 1, tzinfo=UTC),
        },
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"exclude|time zone|finite|longer|later"):
        NewJob("news", **options)  # type: ignore[arg-type]


def test_a_copy_keeps_its_request_id() -> None:
    job = NewJob("news", delay=5)
    copy = dataclasses.replace(job, priority=3)
    assert (copy.request_id, copy.delay) == (job.request_id, job.delay)


def test_batches_hold_at_most_a_thousand_jobs_in_order() -> None:
    requests = [create_request(NewJob("news", {"n": n})) for n in range(2500)]
    batches = list(batch_requests(iter(requests)))
    assert [len(batch.requests) for batch in batches] == [1000, 1000, 500]
    assert [request for batch in batches for request in batch.requests] == requests


def test_batches_stay_below_what_the_server_receives() -> None:
    requests = [create_request(NewJob("news", {"x": "y" * 200_000})) for _ in range(40)]
    batches = list(batch_requests(requests))
    assert sum(len(batch.requests) for batch in batches) == 40
    assert all(batch.ByteSize() <= MAX_BATCH_BYTES for batch in batches)
    assert len(batches) == 3


def test_a_job_too_large_for_any_batch_goes_alone() -> None:
    requests = [
        create_request(NewJob("news", {"x": "y" * size})) for size in (1, MAX_BATCH_BYTES, 1)
    ]
    assert [len(batch.requests) for batch in batch_requests(requests)] == [1, 1, 1]


def test_payloads_are_asked_for_as_text() -> None:
    request = get_request("id", full=True)
    assert request.payload_encoding == payload_pb2.PAYLOAD_ENCODING_JSON_TEXT
    assert request.view == job_pb2.JOB_VIEW_FULL
    assert get_request("id", full=False).view == job_pb2.JOB_VIEW_BASIC
