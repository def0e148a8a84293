"""What a worker says about streams that fail, and what it does about the next ones."""

from math import inf

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from jobsvc.call_status import read_status
from jobsvc.worker.reconnect_backoff import GOOD_SECONDS
from jobsvc.worker.stream_end import StreamEnd, WorkerStopped, as_end
from jobsvc.worker.stream_trouble import StreamTrouble

BROKEN = StreamEnd(grpc.StatusCode.UNAVAILABLE, "the connection broke (INTERNAL: RST_STREAM)")
TARGET = "127.0.0.1:1"


@pytest.fixture
def trouble() -> StreamTrouble:
    return StreamTrouble(TARGET)


def test_streams_that_open_and_break_are_no_storm_of_warnings(
    trouble: StreamTrouble, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(5):
        trouble.note_life(0.1)
        trouble.note_failure(BROKEN, float(second))
    assert len(caplog.messages) == 1
    trouble.note_life(GOOD_SECONDS)
    trouble.note_failure(BROKEN, 5.0)
    assert len(caplog.messages) == 2


def test_smaller_streams_are_told_at_once_and_once(
    trouble: StreamTrouble, caplog: pytest.LogCaptureFixture
) -> None:
    trouble.note_failure(BROKEN, 0.0)
    trouble.note_break(BROKEN, 1_200_000, inf, 1.0)
    trouble.note_break(BROKEN, 3_000_000, trouble.limit_bytes(2.0), 2.0)
    assert caplog.messages == [
        f"{TARGET} is not available: {BROKEN.message}; trying again",
        f"{TARGET} is not available: {BROKEN.message}; trying again with 1,000,000 bytes a stream:"
        " 1,200,000 were sent, and a proxy may limit what one call carries (nginx:"
        " client_max_body_size)",
    ]


def test_refusal_for_good_ends_the_worker(trouble: StreamTrouble) -> None:
    with pytest.raises(WorkerStopped, match="what this worker sent"):
        trouble.note_failure(StreamEnd(grpc.StatusCode.INVALID_ARGUMENT, "no", True), 0.0)


def test_server_without_room_is_asked_again_when_it_says(trouble: StreamTrouble) -> None:
    full = StreamEnd(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room", True, 3.0)
    for _ in range(20):
        trouble.note_failure(full, 0.0)
        assert 3.0 <= trouble.delay_seconds() <= 3.6
        assert trouble.delay_seconds() <= 2.0  # it counts once
    trouble.note_failure(StreamEnd(grpc.StatusCode.RESOURCE_EXHAUSTED, "", True, 60.0), 0.0)
    assert 4.0 <= trouble.delay_seconds() <= 5.0


def test_delay_is_read_of_a_server_without_room_only() -> None:
    for code, seconds in (("RESOURCE_EXHAUSTED", 3.0), ("UNAVAILABLE", 0.0)):
        status = status_pb2.Status(code=grpc.StatusCode[code].value[0])
        status.details.add().Pack(error_details_pb2.ErrorInfo(domain="jobsvc", reason="ANY"))
        status.details.add().Pack(
            error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=3))
        )
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        assert as_end(read_status(grpc.StatusCode[code], "", trailers)).retry_seconds == seconds
