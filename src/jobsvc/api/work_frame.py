"""Takes in the frames that a worker sends."""

import time

from google.protobuf.message import DecodeError

from jobsvc.api.byte_budget import Charge
from jobsvc.api.convert import leases as convert
from jobsvc.api.convert.request_checks import UNDECODABLE, RequestChecks
from jobsvc.api.large_message import decode_message
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.domain.errors import InvalidRequest, RateLimited, WorkProtocolViolation
from jobsvc.domain.lease import Extension
from jobsvc.domain.limits import MAX_WINDOW
from jobsvc.v1 import worker_service_pb2 as pb


async def make_room(worker: ConnectedWorker, charge: Charge, size_bytes: int) -> None:
    """Waits until there is room for a frame, which is not decoded yet. A refusal would have the
    worker send its outcomes again; meanwhile its later frames are not read."""
    try:
        charge.take(size_bytes)
    except RateLimited:
        worker.set_reading(False, time.monotonic())
        await charge.wait(size_bytes)
        worker.set_reading(True, time.monotonic())


async def decode_frame(data: bytes) -> pb.WorkRequest:
    """Returns the frame.

    Raises:
        WorkProtocolViolation: it cannot be decoded.
    """
    try:
        return await decode_message(pb.WorkRequest.FromString, data)
    except DecodeError:
        raise WorkProtocolViolation(f"the frame {UNDECODABLE}") from None


def read_extensions(
    request: pb.ExtendLeasesRequest, worker_id: str, max_items: int
) -> list[Extension | None]:
    """The extensions that a frame asks for.

    Raises:
        WorkProtocolViolation: a field breaks a rule of the contract.
    """
    try:
        return convert.extensions(request, worker_id, max_items)
    except InvalidRequest as error:
        raise WorkProtocolViolation.of("extend_leases", error.violations) from None


def read_window(request: pb.SetWindow) -> int:
    """The window that a frame asks for.

    Raises:
        WorkProtocolViolation: it is out of range.
    """
    checks = RequestChecks()
    checks.number("window", request.window, 0, MAX_WINDOW)
    if checks.violations:
        raise WorkProtocolViolation.of("set_window", checks.violations)
    return request.window


def count_outcomes(request: pb.ReportOutcomesRequest, max_items: int) -> int:
    """How many leases a frame reports on.

    Raises:
        WorkProtocolViolation: none, or more than `max_items`.
    """
    checks, lease_ids = RequestChecks(), convert.reported_leases(request)
    checks.count("outcomes", lease_ids, 1, max_items)
    if checks.violations:
        raise WorkProtocolViolation.of("report_outcomes", checks.violations)
    return len(lease_ids)
