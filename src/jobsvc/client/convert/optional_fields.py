"""Reads fields of messages that may be unset.

Only the message around a field knows whether the field is set, hence message and name.
"""

from datetime import UTC, datetime

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message

from jobsvc.v1 import payload_pb2


def read_time(message: Message, name: str, time: timestamp_pb2.Timestamp) -> datetime | None:
    """Returns the time in the field `name`; None when it is unset."""
    return time.ToDatetime(tzinfo=UTC) if message.HasField(name) else None


def read_seconds(message: Message, name: str, duration: duration_pb2.Duration) -> float | None:
    """Returns the length of time in the field `name`; None when it is unset."""
    return duration.ToNanoseconds() / 1e9 if message.HasField(name) else None


def read_json_text(message: Message, name: str, payload: payload_pb2.Payload) -> str | None:
    """Returns the JSON text of the payload in the field `name`; None when it is unset."""
    return payload.json_text if message.HasField(name) else None
