"""Converts lengths of time between seconds, timedelta and protobuf. Pure."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

#: A length of time: seconds, or a timedelta.
Seconds = float | timedelta


def to_seconds(length: Seconds) -> float:
    """Returns the length in seconds."""
    return length.total_seconds() if isinstance(length, timedelta) else float(length)


def to_duration(length: Seconds) -> Duration:
    """Returns the length as protobuf, to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(to_seconds(length) * 1e9))
    return duration


def from_duration(duration: Duration) -> float:
    """Returns a protobuf duration in seconds; 0 when it is unset."""
    return duration.seconds + duration.nanos * 1e-9
