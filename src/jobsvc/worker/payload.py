"""Between the JSON text of a payload and the values of a processor. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf import json_format
from google.rpc import code_pb2

from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.worker_service_pb2 import JobOutcome
from jobsvc.worker.failure import job_error
from jobsvc.worker.outcome import Outcome, failed, succeeded


def input_text(payload: Payload) -> str:
    """The JSON text of an input; unset means the empty object."""
    text = payload.json_text
    if text:
        return text
    # We ask for json_text, but a server may answer in the other spelling.
    return json_format.MessageToJson(payload.json) if payload.HasField("json") else "{}"


def input_rejected(lease_id: str, error: Exception) -> JobOutcome:
    """The outcome for an input that is not of the processor's type: a retry would end the same."""
    return failed(
        lease_id, job_error(code_pb2.INVALID_ARGUMENT, "INPUT_REJECTED", f"input: {error}"), False
    )


def outcome_of_value(
    lease_id: str, value: Any, encode: Callable[[Any], bytes], max_payload_bytes: int
) -> Outcome:
    """The outcome for what a processor returned: success, unless the value is no JSON object.

    Both checks, OUTPUT_INVALID and OUTPUT_TOO_LARGE, are permanent: the same
    code would return the same thing again. `value` may be anything, hence Any.
    """
    if value is None:
        return succeeded(lease_id, None)
    try:
        text = encode(value)
        output = text.decode()
    except Exception as error:
        # Whatever a foreign type makes the encoder raise, the value is unusable.
        return _unusable(lease_id, "OUTPUT_INVALID", f"the output is not JSON: {error}")
    if not output.startswith("{"):
        kind = type(value).__name__
        return _unusable(lease_id, "OUTPUT_INVALID", f"the output is not an object but {kind}")
    if len(text) > max_payload_bytes:
        detail = f"the output has {len(text)} bytes, the server takes {max_payload_bytes}"
        return _unusable(lease_id, "OUTPUT_TOO_LARGE", detail)
    return succeeded(lease_id, output)


def encoder() -> Callable[[Any], bytes]:
    """Writes a value as JSON; raises for one that JSON cannot hold."""
    return msgspec.json.Encoder().encode


def _unusable(lease_id: str, reason: str, message: str) -> JobOutcome:
    return failed(lease_id, job_error(code_pb2.INTERNAL, reason, message), False)
