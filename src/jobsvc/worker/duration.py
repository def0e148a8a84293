"""Lengths of time, between what a developer writes, seconds, and protobuf."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

#: A length of time: seconds, or a timedelta.
Seconds = float | timedelta


def to_seconds(length: Seconds) -> float:
    """The length in seconds."""
    return length.total_seconds() if isinstance(length, timedelta) else float(length)


def to_duration(length: Seconds) -> Duration:
    """The length as protobuf, to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(to_seconds(length) * 1e9))
    return duration


def from_duration(duration: Duration) -> float:
    """A protobuf duration in seconds; 0 when it is unset."""
    return duration.seconds + duration.nanos * 1e-9
