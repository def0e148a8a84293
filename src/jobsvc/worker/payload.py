"""Converts between the JSON text of a payload and the values of a processor. Pure."""

import json
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


def whole_numbers(decode: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns a decoder that also takes 1.0 and 1e2 for integers, as JSON Schema does.

    Only a text that `decode` refuses is looked at again, so others cost nothing.
    """

    def decode_again(text: str) -> Any:
        try:
            return decode(text)
        except Exception:
            document = msgspec.json.decode(text)
        return decode(msgspec.json.encode(_with_whole_numbers(document)).decode())

    return decode_again


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _with_whole_numbers(item) for key, item in value.items()}
    return [_with_whole_numbers(item) for item in value] if isinstance(value, list) else value


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
        if "null" in output:
            _check_numbers(value)
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
    return msgspec.json.Encoder(enc_hook=_written_model).encode


def _written_model(value: Any) -> msgspec.Raw:
    # What msgspec does not know may be a pydantic model, which writes itself.
    write = getattr(value, "model_dump_json", None)
    if write is None:
        raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
    return msgspec.Raw(write(by_alias=True).encode())


def _check_numbers(value: Any) -> None:
    """Raises ValueError if a number is not finite: msgspec writes null for it, so that nobody would
    notice. What a model of pydantic writes is its own choice."""
    _FINITE.encode(msgspec.to_builtins(value, str_keys=True, enc_hook=lambda _: None))


_FINITE = json.JSONEncoder(allow_nan=False, check_circular=False)


def _unusable(lease_id: str, reason: str, message: str) -> JobOutcome:
    return failed(lease_id, job_error(code_pb2.INTERNAL, reason, message), False)
