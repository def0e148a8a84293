"""Leased jobs in a frame: each as it is, whatever it shares with its neighbours."""

import pytest
from msgspec.structs import replace

from jobsvc.api.convert.work_frames import dispatch_frame
from jobsvc.domain.job import JobError
from jobsvc.domain.lease import Delivery, LeasedJob
from jobsvc.v1.job_pb2 import JobOwner
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON as STRUCT
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT as JSON_TEXT
from jobsvc.v1.worker_service_pb2 import WorkResponse
from tests.support.samples import leased_job, terms

PLAIN = leased_job(1).delivery
RICH = Delivery(
    terms=terms(attempt=3, traceparent="tp", tracestate="ts"),
    duration_seconds=30.0,
    attempt_timeout_seconds=1.5,
    labels={"a": "b"},
    owner_service="web",
    owner_user="",
    has_session=True,
    previous_error=JobError(14, "BROKEN"),
)
MEBIBYTE = 1024 * 1024


def _job(number: int, delivery: Delivery = PLAIN, text: str | None = None) -> LeasedJob:
    return replace(leased_job(number), delivery=delivery, input=text)


def test_nothing_of_one_job_shows_in_the_next() -> None:
    jobs = [_job(1, RICH, '{"a": 1}'), _job(2), _job(3), _job(4, RICH)]
    frame, count = dispatch_frame(jobs, JSON_TEXT, 0)
    assert count == 4
    leases = frame.dispatch.leases
    assert [lease.lease_id for lease in leases] == [job.id for job in jobs]
    assert [lease.input.json_text for lease in leases] == ['{"a": 1}', "{}", "{}", "{}"]
    frame, _ = dispatch_frame(jobs, STRUCT, 0)
    assert [lease.HasField("input") for lease in frame.dispatch.leases] == [
        True,
        False,
        False,
        False,
    ]
    assert [dict(lease.labels) for lease in leases] == [{"a": "b"}, {}, {}, {"a": "b"}]
    assert [lease.traceparent for lease in leases] == ["tp", "", "", "tp"]
    assert [lease.attempt_timeout.nanos for lease in leases] == [5e8, 0, 0, 5e8]
    attempts = [(lease.attempt, lease.last_attempt) for lease in leases]
    assert attempts == [(3, True), (1, False), (1, False), (3, True)]
    reasons = [lease.previous_error.reason for lease in leases]
    assert reasons == ["BROKEN", "", "", "BROKEN"]
    rich = JobOwner(service="web", has_session=True)
    assert [lease.owner for lease in leases] == [rich, JobOwner(), JobOwner(), rich]


def test_leases_of_another_length_wait_for_their_own_frame() -> None:
    long = replace(PLAIN, duration_seconds=60.0)
    frame, count = dispatch_frame([_job(1), _job(2, long), _job(3)], JSON_TEXT, 0)
    assert (count, frame.dispatch.expires_in.seconds) == (1, 30)


@pytest.mark.parametrize(
    ("count", "encoding", "max_bytes"),
    [(1000, JSON_TEXT, MEBIBYTE // 4), (200, STRUCT, MEBIBYTE // 8)],
)
def test_frames_are_full_but_no_larger_than_they_may_be(
    count: int, encoding: int, max_bytes: int
) -> None:
    numbers = '{"a": [' + ",".join("0" * 500) + "]}"
    frames = _frames([_job(n, text=numbers) for n in range(count)], encoding)
    assert sum(len(frame.dispatch.leases) for frame in frames) == count
    for frame in frames:
        frame.sequence = 2**40
        assert frame.ByteSize() <= max_bytes
    assert all(frame.ByteSize() > 0.9 * max_bytes for frame in frames[:-1])


def test_job_that_is_larger_than_a_frame_goes_alone() -> None:
    large = '{"a": "' + "x" * 2 * MEBIBYTE + '"}'
    for jobs in ([_job(1, text=large), _job(2)], [_job(1), _job(2, text=large)]):
        assert [len(frame.dispatch.leases) for frame in _frames(jobs, JSON_TEXT)] == [1, 1]


def _frames(jobs: list[LeasedJob], encoding: int) -> list[WorkResponse]:
    frames = []
    while jobs:
        frame, count = dispatch_frame(jobs, encoding, 1000)
        assert count == len(frame.dispatch.leases) >= 1
        frames.append(frame)
        jobs = jobs[count:]
    return frames
