"""Reads the requests that steer a queue."""

from datetime import datetime

from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.limits import MAX_NOTE_CHARACTERS
from jobsvc.v1 import queue_service_pb2 as pb

_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1, 10_000 * 86_400


def check_named(
    request: pb.ResumeQueueRequest | pb.PurgeQueueRequest | pb.DeleteQueueRequest,
) -> None:
    """Checks a request that names a queue, and perhaps a reason.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    checks.queue("name", request.name)
    if isinstance(request, pb.PurgeQueueRequest):
        checks.text("reason", request.reason, MAX_NOTE_CHARACTERS)
    checks.raise_if_violated()


def read_pause(request: pb.PauseQueueRequest) -> tuple[datetime | None, float | None]:
    """Returns until when a queue is to be paused, or for how many seconds.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    checks.queue("name", request.name)
    checks.text("reason", request.reason, MAX_NOTE_CHARACTERS)
    end_time, seconds = None, None
    match request.WhichOneof("end"):
        case "end_time":
            end_time = checks.set_time("end_time", request.end_time)
        case "duration":
            seconds = checks.seconds(
                "duration", request.duration, _MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS
            )
    checks.raise_if_violated()
    return end_time, seconds
