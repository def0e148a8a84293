"""Leased jobs in a frame: each as it is, whatever it shares with its neighbours."""

from msgspec.structs import replace

from jobsvc.api.convert.work import dispatch_frame
from jobsvc.lease import Delivery, LeasedJob
from jobsvc.v1.job_pb2 import JobOwner
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT as JSON_TEXT

from .samples import leased_job

PLAIN = leased_job(1).delivery
RICH = Delivery(
    replace(PLAIN.held, traceparent="tp", tracestate="ts"),
    30.0,
    1.5,
    {"a": "b"},
    "web",
    "",
    True,
    None,
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
    assert [lease.input.json_text for lease in leases] == ['{"a": 1}', "", "", ""]
    assert [dict(lease.labels) for lease in leases] == [{"a": "b"}, {}, {}, {"a": "b"}]
    assert [lease.traceparent for lease in leases] == ["tp", "", "", "tp"]
    assert [lease.attempt_timeout.nanos for lease in leases] == [5e8, 0, 0, 5e8]
    rich = JobOwner(service="web", has_session=True)
    assert [lease.owner for lease in leases] == [rich, JobOwner(), JobOwner(), rich]


def test_leases_of_another_length_wait_for_their_own_frame() -> None:
    long = replace(PLAIN, duration_seconds=60.0)
    frame, count = dispatch_frame([_job(1), _job(2, long), _job(3)], JSON_TEXT, 0)
    assert (count, frame.dispatch.expires_in.seconds) == (1, 30)


def test_frame_has_a_mebibyte_at_most_or_a_single_job() -> None:
    numbers = '{"a": [' + ",".join("0" * 1000) + "]}"
    large = '{"a": "' + "x" * 2 * MEBIBYTE + '"}'
    for jobs, encoding in (
        ([_job(n, text=numbers) for n in range(1000)], JSON_TEXT),
        ([_job(n, text=numbers) for n in range(200)], 0),
        ([_job(1, text=large), _job(2)], JSON_TEXT),
        ([_job(1), _job(2, text=large)], JSON_TEXT),
    ):
        sent = 0
        while sent < len(jobs):
            frame, count = dispatch_frame(jobs[sent:], encoding, 1000)
            assert count == len(frame.dispatch.leases) >= 1
            assert frame.ByteSize() <= MEBIBYTE or count == 1
            sent += count
