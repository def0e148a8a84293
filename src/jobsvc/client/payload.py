"""Input and output of jobs: Python objects on this side, JSON text on the wire."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

# Not msgspec, which writes null for a number that is not finite, so that nobody would notice.
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

#: Types that the input of a job may have: a mapping, a `msgspec.Struct`, a
#: dataclass instance, or ready JSON text. Any: each of those can hold anything.
PayloadLike: TypeAlias = Mapping[str, Any] | msgspec.Struct | str | Any


def encode_payload(payload: PayloadLike) -> str:
    """Returns a payload as JSON text. Text is left as it is; the server checks it.

    Times, UUIDs, enums and the like become texts, as `msgspec` spells them.

    Raises:
        TypeError: a part of the payload has no JSON form.
        ValueError: the root is no object, or a number is not finite.
    """
    if isinstance(payload, str):
        return payload
    plain = msgspec.to_builtins(payload, str_keys=True)
    if not isinstance(plain, dict):
        raise ValueError(f"a payload must be one JSON object, not {type(payload).__name__}")
    return _encode(plain)


def decode_payload(text: str | None) -> Any:  # Any: the JSON can hold anything
    """Returns JSON text as Python objects; None for None."""
    return None if text is None else msgspec.json.decode(text)


def decode_payload_as(text: str | None, kind: type[T]) -> T:
    """Returns JSON text as a `kind`.

    Raises:
        msgspec.ValidationError: the text does not fit, or there is none.
    """
    if text is None:
        raise msgspec.ValidationError("there is no payload")
    return msgspec.json.decode(text, type=kind)
