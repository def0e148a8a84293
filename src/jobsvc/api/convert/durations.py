"""Durations, as they are sent."""

from google.protobuf.duration_pb2 import Duration


def duration(seconds: float) -> Duration:
    """A number of seconds as a Duration, to the microsecond; negative ones become zero."""
    micros = max(round(seconds * 1_000_000), 0)
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)
