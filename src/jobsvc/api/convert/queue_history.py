"""Reads what is asked of the history of a queue, and writes its steps into messages."""

from google.protobuf.duration_pb2 import Duration

from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import timestamp, write_duration
from jobsvc.domain.queue_history import KEPT_MINUTES, HistoryStep, Percentiles
from jobsvc.v1 import queue_service_pb2 as pb

_MINUTE = 60.0
_WINDOW = 60  # minutes


def read_history_request(request: pb.GetQueueHistoryRequest) -> tuple[int, int]:
    """Returns the minutes of the window and those of a step.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    checks.queue("queue", request.queue)
    known = len(checks.violations)
    step = _minutes(checks, "step", request.step, 1) if request.HasField("step") else 1
    # A window is nothing to be measured by a step that is wrong.
    unit = step if len(checks.violations) == known else 1
    # A whole number of steps, also where an hour is none.
    window = max(_WINDOW // unit, 1) * unit
    if request.HasField("window"):
        window = _minutes(checks, "window", request.window, unit)
    checks.raise_if_violated()
    return window, step


def _minutes(checks: RequestChecks, field: str, value: Duration, unit: int) -> int:
    """Checks that a duration is so many minutes, or a multiple of them, and returns its minutes."""
    known = len(checks.violations)
    seconds = checks.seconds(field, value, unit * _MINUTE, KEPT_MINUTES * _MINUTE)
    if len(checks.violations) == known and seconds % (unit * _MINUTE):
        checks.add(field, f"must be a multiple of {unit * _MINUTE:g} seconds, not {seconds:g}")
    return int(seconds // _MINUTE)


def history_step(step: HistoryStep) -> pb.QueueHistoryStep:
    """A step as a message."""
    message = pb.QueueHistoryStep(
        start_time=timestamp(step.start_time),
        created_count=step.created,
        completed_count=step.completed,
        cancelled_count=step.cancelled,
        failed_count=sum(step.failed.values()),
        failed_counts=step.failed,
        retried_count=step.retried,
        ready_count=step.ready,
        processing_count=step.processing,
    )
    write_duration(message.duration, step.minutes * _MINUTE)
    for percentiles, field in ((step.wait, message.wait), (step.run, message.run)):
        if percentiles is not None:
            _write_percentiles(field, percentiles)
    return message


def _write_percentiles(message: pb.DurationPercentiles, percentiles: Percentiles) -> None:
    message.count = percentiles.count
    write_duration(message.p50, percentiles.p50)
    write_duration(message.p95, percentiles.p95)
    write_duration(message.p99, percentiles.p99)
