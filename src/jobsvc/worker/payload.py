"""Converts between the JSON text of a payload and the values of a processor. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf import json_format
from google.rpc import code_pb2

from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.worker_service_pb2 import JobOutcome
from jobsvc.worker.failure import job_error, text_of
from jobsvc.worker.outcome import Outcome, failed, succeeded


def input_text(payload: Payload) -> str:
    """Returns the JSON text of an input; an unset payload is the empty object."""
    text = payload.json_text
    if text:
        return text
    # The worker asks for json_text, but a server may send `json` all the same.
    return json_format.MessageToJson(payload.json) if payload.HasField("json") else "{}"


def input_rejected(lease_id: str, why: str) -> JobOutcome:
    """Returns the failure of an attempt whose input is not of the processor's type.

    It is retried, unlike others of its code: during a deploy the next worker may know the type.
    """
    error = job_error(code_pb2.INVALID_ARGUMENT, "INPUT_REJECTED", f"input: {why}")
    return failed(lease_id, error, retryable=True)


def outcome_of_value(
    lease_id: str, value: Any, encode: Callable[[Any], bytes], max_payload_bytes: int
) -> Outcome:
    """Returns the outcome for the value that a processor returned.

    Success, or a permanent failure, as the same code would return the same value
    again: OUTPUT_INVALID if it is no JSON object, OUTPUT_TOO_LARGE. `value` may be
    anything, hence Any.
    """
    if value is None:
        return succeeded(lease_id, None)
    try:
        text = encode(value)
        output = text.decode()
    except BaseException as error:
        # A foreign type may make the encoder raise anything.
        return _unusable(lease_id, "OUTPUT_INVALID", f"the output is not JSON: {text_of(error)}")
    if not output.startswith("{"):
        kind = type(value).__name__
        return _unusable(lease_id, "OUTPUT_INVALID", f"the output is not an object but {kind}")
    if len(text) > max_payload_bytes:
        detail = f"the output has {len(text)} bytes, the server takes {max_payload_bytes}"
        return _unusable(lease_id, "OUTPUT_TOO_LARGE", detail)
    return succeeded(lease_id, output)


def encoder() -> Callable[[Any], bytes]:
    """Returns a function that writes a value as JSON, and raises if JSON cannot hold it."""
    return msgspec.json.Encoder().encode


def _unusable(lease_id: str, reason: str, message: str) -> JobOutcome:
    return failed(lease_id, job_error(code_pb2.INTERNAL, reason, message), False)
