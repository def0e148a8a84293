"""Durations and points in time as messages."""

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration(seconds: float) -> Duration:
    """Returns seconds as a Duration, to the microsecond; negative ones become zero."""
    message = Duration()
    write_duration(message, seconds)
    return message


def write_duration(message: Duration, seconds: float) -> None:
    """Writes seconds as `duration` does."""
    whole = int(seconds)
    if whole == seconds and whole >= 0:
        message.seconds = whole
        message.nanos = 0
        return
    micros = max(round(seconds * 1_000_000), 0)
    message.seconds = micros // 1_000_000
    message.nanos = micros % 1_000_000 * 1000


def timestamp(time: datetime) -> Timestamp:
    """Returns a point in time as a Timestamp, to the microsecond."""
    message = Timestamp()
    write_timestamp(message, time)
    return message


def write_timestamp(message: Timestamp, time: datetime) -> None:
    """Writes a point in time as `timestamp` does."""
    since_epoch = time - _EPOCH
    message.seconds = since_epoch.days * 86_400 + since_epoch.seconds
    message.nanos = since_epoch.microseconds * 1000
