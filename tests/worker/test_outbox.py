"""Frames for a stream that may carry so much and no more."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.v1.job_pb2 import JobProgress
from jobsvc.v1.worker_service_pb2 import LeaseExtension, Subscribed, WorkRequest
from jobsvc.worker.lease_book import LeaseBook
from jobsvc.worker.outbox import Outbox
from jobsvc.worker.outcome import succeeded

SUBSCRIBED = Subscribed(takes_succeeded_lease_ids=True)
#: What gRPC puts before each message.
PREFIX_BYTES = 5


def filled(output_sizes: list[int]) -> tuple[Outbox, LeaseBook[str]]:
    """An outbox with an outcome for each size."""
    book = LeaseBook[str](len(output_sizes))
    for index, size in enumerate(output_sizes):
        lease_id = f"l{index}"
        book.take(lease_id, lease_id)
        book.end(succeeded(lease_id, "x" * size if size else None))
    return Outbox(book, 10), book


def one_stream(outbox: Outbox, limit_bytes: float) -> list[WorkRequest]:
    """All frames that a new stream carries."""
    outbox.connect(SUBSCRIBED, 10, 0.0)
    frames: list[WorkRequest] = []
    sent_bytes = 0
    while (frame := outbox.next_frame(10, limit_bytes - sent_bytes)) is not None:
        frames.append(frame)
        sent_bytes += frame.ByteSize() + PREFIX_BYTES
    return frames


def lease_ids(frames: list[WorkRequest]) -> list[str]:
    """The leases whose outcomes frames have."""
    reports = [frame.report_outcomes for frame in frames]
    return [
        lease_id
        for report in reports
        for lease_id in (*report.succeeded_lease_ids, *(o.lease_id for o in report.outcomes))
    ]


def check_sizes(frames: list[WorkRequest], limit_bytes: float) -> None:
    """Only the first frame of a kind may exceed the limit of a stream, if it has a single item."""
    sent_bytes = 0
    seen: set[str] = set()
    for frame in frames:
        sent_bytes += frame.ByteSize() + PREFIX_BYTES
        kind = str(frame.WhichOneof("frame"))
        count = len(frame.extend_leases.extensions) or len(lease_ids([frame]))
        assert sent_bytes <= limit_bytes or (kind not in seen and count == 1)
        seen.add(kind)


@given(
    output_sizes=st.lists(st.integers(0, 300), max_size=30),
    extensions=st.lists(st.integers(0, 200), max_size=10),
    limit_bytes=st.integers(1, 2000),
)
def test_streams_carry_everything_once_and_no_more_than_they_may(
    output_sizes: list[int], extensions: list[int], limit_bytes: int
) -> None:
    outbox, book = filled(output_sizes)
    outbox.extend(
        LeaseExtension(lease_id="e", progress=JobProgress(percent=1, message="x" * size))
        for size in extensions
    )
    reported: list[str] = []
    extended = 0
    for _ in range(len(output_sizes) + len(extensions) + 1):
        frames = one_stream(outbox, limit_bytes)
        extended += sum(len(frame.extend_leases.extensions) for frame in frames)
        carried = lease_ids(frames)
        for lease_id in carried:
            book.forget(lease_id)
        reported += carried
        check_sizes(frames, limit_bytes)
        if not outbox.needs_room:
            break
    assert not outbox.needs_room
    assert sorted(reported) == sorted(f"l{index}" for index in range(len(output_sizes)))
    assert extended == len(extensions)


def test_outcome_that_no_stream_can_carry_goes_alone_and_seldom() -> None:
    outbox, book = filled([5000, 10, 10])
    assert lease_ids(one_stream(outbox, 1000)) == ["l0"]
    # That stream has broken: nothing was confirmed.
    retry_time = outbox.connect(SUBSCRIBED, 10, 0.0)
    for _ in range(2):
        assert lease_ids([outbox.next_frame(10, 1000) or WorkRequest()]) == ["l1", "l2"]
        assert outbox.next_frame(10, 500) is None
        assert not outbox.needs_room
        assert outbox.connect(SUBSCRIBED, 10, retry_time - 1) == retry_time
    book.forget("l1")
    book.forget("l2")
    book.resend_deferred()
    assert lease_ids([outbox.next_frame(10, 1000) or WorkRequest()]) == ["l0"]
    assert outbox.connect(SUBSCRIBED, 10, retry_time) == 3 * retry_time
    book.resend_deferred()
    assert lease_ids([outbox.next_frame(10, 1000) or WorkRequest()]) == ["l0"]
    book.forget("l0")
    assert outbox.connect(SUBSCRIBED, 10, retry_time) == inf


def test_progress_that_was_not_sent_goes_on_the_next_stream() -> None:
    outbox, _ = filled([])
    progress = LeaseExtension(lease_id="a", progress=JobProgress(percent=1))
    outbox.extend([progress, LeaseExtension(lease_id="b")])
    (frame,) = one_stream(outbox, inf)
    assert list(frame.extend_leases.extensions) == [progress]
