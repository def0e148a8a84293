"""A queue with every option."""

from typing import Any

from google.protobuf.duration_pb2 import Duration

from jobsvc.v1 import job_pb2
from jobsvc.v1.payload_pb2 import PayloadSchema


def schema(definition: dict[str, Any]) -> PayloadSchema:
    message = PayloadSchema()
    message.json_schema.update(definition)
    return message


TEXT = {"type": "object", "properties": {"a": {"$ref": "#/$defs/text"}}, "$defs": {"text": {}}}
EVERYTHING: dict[str, Any] = {
    "input_schema": schema(TEXT),
    "output_schema": schema({"required": ["b"], "maxProperties": 3}),
    "retry_policy": job_pb2.RetryPolicy(
        max_attempts=5,
        initial_backoff=Duration(nanos=500_000_000),
        max_backoff=Duration(seconds=86_400),
        backoff_multiplier=1.5,
    ),
    "attempt_timeout": Duration(seconds=604_800),
    "lease_duration": Duration(seconds=3600),
    "retention": Duration(),
    "start_within": Duration(seconds=60),
    "max_waiting": 1000,
}
