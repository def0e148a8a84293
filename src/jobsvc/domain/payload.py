"""Checks payloads: JSON objects as text, which are stored as they came. Pure."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

#: Deepest nesting of objects and arrays (contract: `Payload`).
MAX_LEVELS = 32

# The closing quote is optional: if it were not, a missing one would make the search quadratic.
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)

_CONTAINERS = (dict, list)

#: The largest double, and the fewest digits of a whole number beyond it.
_LARGEST, _LONG_DIGITS = sys.float_info.max, 309
#: Of every character at this distance, three in a row are in such a run of digits.
_STRIDE = 100
_DIGITS_APART = re.compile("[0-9]{3}")
_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_EXPONENT = re.compile(rb"[0-9][eE][+-]?([0-9]++)(?=[\s,\]}])")
#: The exponents of doubles that are not 0 are smaller.
_MAX_EXPONENT = 400
#: How many times as long a text can be when its numbers are written out, and in UTF-8.
MAX_WRITTEN_OUT = 100


class PayloadInvalid(Exception):
    """The text is no payload. The text of the error says why, and `place` where: a path below the
    payload, empty for the payload as a whole."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.place = place

    def below(self, step: str) -> "PayloadInvalid":
        """The same defect, found in a part of the payload."""
        return PayloadInvalid(f"{self}", step + self.place)


def parse_payload(text: str, max_levels: int = MAX_LEVELS) -> dict[str, Any]:
    """Returns the object that a JSON text spells.

    Raises:
        PayloadInvalid: it is not JSON, not an object, names a key twice, nests too
            deeply, or holds NaN, Infinity, a number that no double can hold, a NUL or a lone
            surrogate.
    """
    # Searching for one character is ten times as fast as counting, or searching for two.
    nested = "[" in text or text.find("{", 1) > 0
    if nested:
        # The number of brackets bounds the depth from above; few payloads need the exact depth.
        brackets = text.count("{") + text.count("[")
        if brackets > max_levels and _levels(text) > max_levels:
            raise PayloadInvalid(f"nests deeper than {max_levels} levels")
    escaped = "\\" in text and "\\u" in text
    # The quick decoder refuses numbers beyond a double, but for integers.
    finite = False
    if not escaped:
        # This decoder is as strict as the other one and five times as fast, but of equal keys it
        # keeps the last.
        try:
            quick = _QUICK_DECODER.decode(text)
        except msgspec.MsgspecError:
            pass  # The other decoder explains the error, or accepts the text.
        else:
            finite = len(text) < _LONG_DIGITS or not _has_long_number(text)
            if finite and _names_no_key_twice(text, _key_count(quick) if nested else len(quick)):
                return quick
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise PayloadInvalid(
            f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    if not isinstance(value, dict):
        raise PayloadInvalid("is not a JSON object")
    # Only an escape can spell these: protobuf text is valid UTF-8, and JSON refuses a raw NUL.
    if escaped:
        for string in _strings(value):
            if "\0" in string:
                raise PayloadInvalid("holds a NUL character")
            try:
                string.encode()
            except UnicodeEncodeError:
                raise PayloadInvalid("holds a lone surrogate") from None
    if not finite:
        place = place_beyond(value, _LARGEST)
        if place is not None:
            raise PayloadInvalid("is a number that no double can hold; send it as a text", place)
    return value


def _names_no_key_twice(text: str, different_keys: int) -> bool:
    """Quick check of a JSON text that decoded to this number of keys; False means unsure."""
    # Each key in the text has at least one colon.
    if text.count(":") == different_keys:
        return True
    # Strings hold colons as well; the colon of a key follows a quote or a blank.
    blank = " :" in text or "\n:" in text or "\t:" in text or "\r:" in text
    return not blank and text.count('":') == different_keys


def _has_long_number(text: str) -> bool:
    """Whether a text has so many digits in a row that they may be a number beyond a double."""
    if not _DIGITS_APART.search(text[::_STRIDE]):
        return False
    return b"0" * _LONG_DIGITS in text.encode(errors="surrogatepass").translate(_ALIKE)


def written_out_bytes(text: str) -> int:
    """Returns how many bytes a JSON text would have if its numbers had no exponents, about: what it
    takes to compare them exactly is in proportion to that."""
    data = text.encode(errors="surrogatepass")
    size = len(data)
    if b"0e0" in data.translate(_ALIKE, b"+-"):
        for digits in _EXPONENT.findall(data):
            size += min(_MAX_EXPONENT, int(digits.lstrip(b"0")[:4] or 0))
    return size


def place_beyond(value: Any, largest: float) -> str | None:
    """Returns the path below a value of its first number that is larger than `largest`, whatever
    its sign; None if there is none."""
    if isinstance(value, float | int):
        return "" if abs(value) > largest else None
    if isinstance(value, dict):
        parts: Iterable[tuple[str, Any]] = ((f".{key}", item) for key, item in value.items())
    elif isinstance(value, list):
        parts = ((f"[{index}]", item) for index, item in enumerate(value))
    else:
        return None
    for step, part in parts:
        place = place_beyond(part, largest)
        if place is not None:
            return step + place
    return None


def _key_count(value: Any) -> int:
    if isinstance(value, dict):
        count, members = len(value), value.values()
    else:
        count, members = 0, value
    for member in members:
        if isinstance(member, _CONTAINERS):
            count += _key_count(member)
    return count


def canonical(value: Any) -> bytes:
    """Returns equal bytes for equal payloads, whatever their key order and white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    if ".0" in text or "e+" in text:
        # 1, 1.0 and 1e0 are the same number.
        text = json.dumps(_whole(value), sort_keys=True, separators=(",", ":"))
    return text.encode()


def same_payload(text: str | None, other: str | None) -> bool:
    """Returns whether two payloads are equal, however they are spelled; None is the empty object.

    Raises:
        PayloadInvalid: one of them is no payload, and they are not the same text.
    """
    return text == other or (
        canonical(parse_payload(text or "{}")) == canonical(parse_payload(other or "{}"))
    )


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _decode(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python refuses to convert an integer of thousands of digits, which is valid JSON.
        return _ROUNDING_DECODER.decode(text)


def _levels(text: str) -> int:
    depth = deepest = 0
    for match in _TOKENS.finditer(text):
        token = match[0]
        if token in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "}]":
            depth -= 1
    return deepest


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None
        raise PayloadInvalid(f"names the key {twice[:60]!r} twice")
    return value


def _no_constant(name: str) -> Any:
    raise PayloadInvalid(f"holds {name}, which is no JSON number")


_QUICK_DECODER = msgspec.json.Decoder(dict[str, Any])
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
_ROUNDING_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_int=float
)
