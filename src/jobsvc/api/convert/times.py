"""Durations and points in time, as they are sent."""

from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration(seconds: float) -> Duration:
    """A number of seconds as a Duration, to the microsecond; negative ones become zero."""
    message = Duration()
    write_duration(message, seconds)
    return message


def write_duration(message: Duration, seconds: float) -> None:
    """Fills in what `duration` makes."""
    whole = int(seconds)
    if whole == seconds and whole >= 0:
        message.seconds = whole
        message.nanos = 0
        return
    micros = max(round(seconds * 1_000_000), 0)
    message.seconds = micros // 1_000_000
    message.nanos = micros % 1_000_000 * 1000


def timestamp(time: datetime) -> Timestamp:
    """A point in time, to the microsecond."""
    message = Timestamp()
    write_timestamp(message, time)
    return message


def write_timestamp(message: Timestamp, time: datetime) -> None:
    """Fills in what `timestamp` makes."""
    since = time - _EPOCH
    message.seconds = since.days * 86_400 + since.seconds
    message.nanos = since.microseconds * 1000
