"""Payloads in the spelling that a program asks for. Pure."""

import json
from typing import Any

from google.protobuf import json_format

from jobsvc.v1.payload_pb2 import Payload, PayloadEncoding

#: Any: what JSON can hold.
JsonObject = dict[str, Any]


def spell(value: JsonObject, encoding: int) -> Payload | None:
    """Returns an object as a payload; None where the field stays unset."""
    if encoding == PayloadEncoding.PAYLOAD_ENCODING_JSON_TEXT:
        return Payload(json_text=json.dumps(value, ensure_ascii=False))
    if not value:
        return None
    payload = Payload()
    json_format.ParseDict(value, payload.json)
    return payload


def read(payload: Payload) -> JsonObject | None:
    """Returns the object in a payload, `{}` if it is unset; None if it is no JSON object."""
    match payload.WhichOneof("encoding"):
        case "json":
            value: JsonObject = json_format.MessageToDict(payload.json)
            return value
        case "json_text":
            try:
                parsed = json.loads(payload.json_text)
            except ValueError:
                return None
            return parsed if isinstance(parsed, dict) else None
    return {}
