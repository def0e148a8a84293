"""Converts frames of `Work` that are more than a lease: subscribe, dispatch, and notices."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.jobs import check_encoding
from jobsvc.api.convert.payloads import JSON_TEXT, is_long, write_payload_in_slices
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import duration, write_duration
from jobsvc.dispatch.connected_worker import (
    CancelRequested,
    ConnectedWorker,
    Draining,
    Notice,
    Retiring,
)
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.errors import WorkProtocolViolation
from jobsvc.domain.lease import LeasedJob
from jobsvc.domain.limits import MAX_HELD_LEASES, MAX_WINDOW, MAX_WORKER_QUEUES
from jobsvc.v1 import worker_service_pb2 as pb

_MAX_ID = 128
_MAX_TOKEN = 64
_MAX_LEASES = 1000
_DEFAULT_LEASES = 100
#: Bytes of leases in a frame: workers behind slow lines must be able to acknowledge it in time.
_MAX_BYTES = 256 * 1024 - 32
#: As Structs, which take so much longer to write that more would block the loop.
_MAX_STRUCT_BYTES = 128 * 1024 - 32
#: Bytes that a lease adds to a frame besides its own: tag and length.
_ITEM_BYTES = 6


def connected_worker(request: pb.Subscribe) -> ConnectedWorker:
    """The worker that a subscribe frame describes.

    Raises:
        WorkProtocolViolation: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    limits: dict[str, int] = {}
    checks.count("queues", request.queues, 1, MAX_WORKER_QUEUES)
    for index, item in enumerate(request.queues):
        checks.queue(f"queues[{index}].queue", item.queue)
        checks.number(f"queues[{index}].max_leases", item.max_leases, 0, 2**31 - 1)
        limits[item.queue] = item.max_leases
    checks.number("window", request.window, 0, MAX_WINDOW)
    checks.count("held_lease_ids", request.held_lease_ids, 0, MAX_HELD_LEASES)
    for index, lease_id in enumerate(request.held_lease_ids):
        if len(lease_id) > _MAX_ID:
            checks.add(f"held_lease_ids[{index}]", f"must have at most {_MAX_ID} characters")
    worker = convert.seen_worker(checks, "worker", request.worker, list(limits), request.window)
    seconds = convert.lease_seconds(checks, "lease_duration", request)
    check_encoding(checks, request.payload_encoding)
    checks.number("max_dispatch_leases", request.max_dispatch_leases, 0, _MAX_LEASES)
    checks.text("resume_token", request.resume_token, _MAX_TOKEN)
    if checks.violations:
        raise WorkProtocolViolation.of("subscribe", checks.violations)
    subscription = Subscription(worker.worker_id, limits, request.window, seconds)
    return ConnectedWorker(subscription, worker)


def dispatch_frame(
    jobs: Sequence[LeasedJob], encoding: int, max_leases: int
) -> tuple[pb.WorkResponse, int]:
    """The next jobs in one frame, and how many they are: up to `max_leases` (0: 100), as far as
    `write_some` takes them."""
    frame = pb.WorkResponse()
    write_duration(frame.dispatch.expires_in, jobs[0].delivery.duration_seconds)
    return frame, write_some(frame.dispatch, jobs[: max_leases or _DEFAULT_LEASES], encoding)


def write_some(response: pb.LeaseJobsResponse, jobs: Sequence[LeasedJob], encoding: int) -> int:
    """Fills an empty message with the next jobs as they are sent, and returns how many they are.

    All have leases of the same duration. There is one job at least, and up to 256 KiB as JSON text,
    128 KiB as Structs. A job whose input takes long to write comes alone, and without it: then
    `write_long_input` has to follow.
    """
    max_bytes = _MAX_BYTES if encoding == JSON_TEXT else _MAX_STRUCT_BYTES
    leases = response.leases
    convert.write_leases(response, _some(jobs, leases, encoding, max_bytes), encoding)
    if response.ByteSize() > max_bytes:
        sizes = accumulate(lease.ByteSize() + _ITEM_BYTES for lease in leases)
        del leases[max(1, sum(size <= max_bytes for size in sizes)) :]
    return len(leases)


async def write_long_input(response: pb.LeaseJobsResponse, job: LeasedJob, encoding: int) -> None:
    """Adds to the first lease what `write_some` left out, and lets other tasks run meanwhile."""
    if job.input is not None and is_long(job.input, encoding):
        await write_payload_in_slices(response.leases[0].input, job.input, encoding)


def _some(
    jobs: Sequence[LeasedJob], written: Sequence[pb.JobLease], encoding: int, max_bytes: int
) -> Iterator[LeasedJob]:
    """The first jobs whose leases are as long as the first one's, and that may fit into one frame.

    `written` has the jobs yielded before, as they are sent.
    """
    size = 0
    is_text = encoding == JSON_TEXT
    for job in jobs:
        if job.delivery.duration_seconds != jobs[0].delivery.duration_seconds:
            return
        alone = not is_text and job.input is not None and is_long(job.input, encoding)
        if alone and written:
            return
        yield job
        if alone:
            return
        # Text is as large as its message, near enough; a Struct may be many times as large.
        size += len(job.input or "") if is_text else written[-1].ByteSize()
        if size > max_bytes:
            return


def notice_frame(notice: Notice) -> pb.WorkResponse:
    """The frame of a notice, which the worker did not ask for."""
    if isinstance(notice, Draining):
        return pb.WorkResponse(
            drain=pb.Drain(grace=duration(notice.grace_seconds), reason=notice.reason)
        )
    if isinstance(notice, Retiring):
        return pb.WorkResponse(retire=pb.Retire(reason=notice.reason))
    if isinstance(notice, CancelRequested):
        leases = [convert.lease_status(i, extended) for i, extended in notice.leases.items()]
    else:
        leases = [convert.lost_status(i, notice.reason) for i in notice.lease_ids]
    return pb.WorkResponse(lease_statuses=pb.ExtendLeasesResponse(leases=leases))
