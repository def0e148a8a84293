"""Checks payloads: JSON objects as text, which are stored as they came. Pure."""

import json
import re
import sys
from collections.abc import Generator, Iterator
from typing import Any

import msgspec

#: Deepest nesting of objects and arrays (contract: `Payload`).
MAX_LEVELS = 32

#: Both kinds of brackets as one, and every other byte.
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
#: Brackets of a kind in a row, and how many are many.
_RUNS = re.compile(rb"\[+|\]+")
_LONG_RUN = 16
_COLONS = re.compile(r'"[ \t\r\n]*:')
#: An escape that may spell a NUL or half of a letter, and two that are one letter.
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_SURROGATE_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")

_CONTAINERS = (dict, list)
_NUMBERS = (int, float)

#: The largest double, and the fewest digits of a whole number beyond it.
_LARGEST, _LONG_DIGITS = sys.float_info.max, 309
#: Of every character at this distance, three in a row are in such a run of digits.
_STRIDE = 100
_DIGITS_APART = re.compile("[0-9]{3}")
_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_EXPONENT = re.compile(rb"[0-9][eE][+-]?([0-9]++)(?=[\s,\]}])")
#: The exponents of doubles that are not 0 are smaller.
_MAX_EXPONENT = 400
#: Numbers are looked for in so many parts in one go.
_PARTS_OF_STEP = 2_000
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


def parse_payload(
    text: str, max_levels: int = MAX_LEVELS, *, checked: bool = False
) -> dict[str, Any]:
    """Returns the object that a JSON text spells. `checked`: `check_levels` has been called.

    Raises:
        PayloadInvalid: it is not JSON, not an object, names a key twice, nests too
            deeply, or holds NaN, Infinity, a number that no double can hold, a NUL or a lone
            surrogate.
    """
    if not checked:
        check_levels(text, max_levels)
    return _parse(text)


def parse_steps(text: str) -> Generator[None, None, dict[str, Any]]:
    """Does the same as `parse_payload` with a text on which `check_levels` has been called, in
    steps: to look at each number of a large one takes long, and few must be looked at."""
    try:
        return _parse(text, finite=None)
    except _NumbersUnseen:
        value = _decode(text)
    yield
    place = yield from place_beyond_steps(value, _LARGEST)
    del value
    if place is not None:
        raise _beyond_a_double(place)
    yield
    return _parse(text, finite=True)


class _NumbersUnseen(Exception):
    """The numbers of a text must be looked at, and may be many."""


def _parse(text: str, finite: bool | None = False) -> dict[str, Any]:
    """`finite` if it is known to have no number that no double can hold; None if nothing is known,
    and numbers must not be looked at."""
    suspect = _suspect_escape(text) if "\\" in text else None
    # The quick decoder refuses numbers beyond a double, but for integers.
    if suspect is None:
        # This decoder is as strict as the other one and five times as fast, but of equal keys it
        # keeps the last.
        try:
            quick = _QUICK_DECODER.decode(text)
        except msgspec.MsgspecError:
            pass  # The other decoder explains the error, or accepts the text.
        else:
            finite = (
                finite
                or len(text) < _LONG_DIGITS
                or not _has_long_number(text)
                or _place(quick, finite) is None
            )
            if finite and _names_no_key_twice(text, quick):
                return quick
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise PayloadInvalid(
            f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    if not isinstance(value, dict):
        raise PayloadInvalid("is not a JSON object")
    if suspect is not None:
        is_nul = suspect.endswith("0000")
        raise PayloadInvalid(f"holds a {'NUL character' if is_nul else 'lone surrogate'}")
    if not finite:
        place = _place(value, finite)
        if place is not None:
            raise _beyond_a_double(place)
    return value


def _place(value: Any, finite: bool | None) -> str | None:
    if finite is None:
        raise _NumbersUnseen
    return place_beyond(value, _LARGEST)


def _beyond_a_double(place: str) -> PayloadInvalid:
    return PayloadInvalid("is a number that no double can hold; send it as a text", place)


def check_levels(text: str, max_levels: int = MAX_LEVELS) -> None:
    """Checks how deeply a JSON text nests. Of a large one it takes as long as the rest of
    `parse_payload`, which does it, too.

    Raises:
        PayloadInvalid: too deeply.
    """
    # Searching for one character is ten times as fast as counting, or searching for two.
    if "[" in text or text.find("{", 1) > 0:
        # The number of brackets bounds the depth from above; few payloads need the exact depth.
        brackets = text.count("{") + text.count("[")
        if brackets > max_levels and _nests_deeper(text, max_levels):
            raise PayloadInvalid(f"nests deeper than {max_levels} levels")


def _suspect_escape(text: str) -> str | None:
    """Returns an escape that spells a NUL, or one that spells half a letter without the other half;
    None if there is none. Only an escape can: protobuf text is valid UTF-8, and JSON refuses a raw
    NUL."""
    if not _SUSPECT_ESCAPE.search(text):
        return None
    # Behind a backslash that is escaped itself, `u` is a letter.
    found = _SUSPECT_ESCAPE.search(_SURROGATE_PAIR.sub("", text.replace("\\\\", "_")))
    return found and found[0]


def _names_no_key_twice(text: str, decoded: dict[str, Any]) -> bool:
    """Quick check of a JSON text that decoded to this object, of equal keys the last; False means
    unsure."""
    # Each key in the text has at least one colon.
    if text.count(":") == len(decoded):
        return True
    # Strings hold colons as well; the colon of a key follows a quote, or blanks after one.
    blank = " :" in text or "\n:" in text or "\t:" in text or "\r:" in text
    if not blank and text.count('":') == len(decoded):
        return True
    # Spelled anew, the object has each key once, and in its strings as many colons after quotes,
    # unless one of the two, or a blank, was escaped by its number.
    if "\\" in text and "\\u00" in text:
        return False
    try:
        anew = _ENCODER.encode(decoded)
    except (msgspec.MsgspecError, OverflowError):  # a number of many digits
        return False
    if blank:
        return len(_COLONS.findall(text)) == len(_COLONS.findall(anew.decode()))
    return text.count('":') == anew.count(b'":')


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
    steps = place_beyond_steps(value, largest)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a path, says the generator's type


def place_beyond_steps(value: Any, largest: float) -> Generator[None, None, str | None]:
    """Does the same in steps of about a millisecond."""
    if isinstance(value, float | int):
        return "" if abs(value) > largest else None
    if not isinstance(value, dict | list):
        return None
    # The containers that lead to where we are, each with its parts to come.
    path: list[tuple[Any, Iterator[tuple[Any, Any]]]] = [(value, _parts(value))]
    at: list[Any] = []
    looked_at = 0
    while path:
        for step, part in path[-1][1]:
            # Without a call for most of them: there may be a hundred thousand.
            if part.__class__ in _NUMBERS:
                if abs(part) > largest:
                    at.append(step)
                    return "".join(
                        f".{step}" if isinstance(container, dict) else f"[{step}]"
                        for (container, _), step in zip(path, at, strict=True)
                    )
            elif part and part.__class__ in _CONTAINERS:
                at.append(step)
                path.append((part, _parts(part)))
                looked_at += 1 + len(part)
                break
        else:
            path.pop()
            if at:
                at.pop()
        if looked_at >= _PARTS_OF_STEP:
            looked_at = 0
            yield
    return None


def _parts(container: Any) -> Iterator[tuple[Any, Any]]:
    return iter(container.items() if isinstance(container, dict) else enumerate(container))


def _decode(text: str) -> Any:
    try:
        # A call for each object takes several times as long as the rest.
        value = _TRUSTING_DECODER.decode(text)
        if isinstance(value, dict) and _names_no_key_twice(text, value):
            return value
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python refuses to convert an integer of thousands of digits, which is valid JSON.
        return _ROUNDING_DECODER.decode(text)


def _nests_deeper(text: str, max_levels: int) -> bool:
    """Whether the brackets of a JSON text, those in strings left out, nest deeper. In steps that
    the interpreter does at once: of 256 KiB, to look at each bracket takes a tenth of a second."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    if '"' in text:
        text = "".join(text.split('"')[::2])
    rest = text.encode(errors="replace").translate(_BRACKETS, _NO_BRACKETS)
    for outer_levels in range(max_levels, 0, -1):
        if rest.count(b"][") * _LONG_RUN < len(rest):
            return _levels(rest) > outer_levels
        rest = rest.replace(b"[]", b"")  # one level less
    return b"[]" in rest


def _levels(brackets: bytes) -> int:
    """How deep they nest; quick if there are many of a kind in a row."""
    levels = deepest = 0
    for run in _RUNS.findall(brackets):
        if run.startswith(b"["):
            levels += len(run)
            deepest = max(deepest, levels)
        else:
            levels -= len(run)
    return deepest


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None
        raise PayloadInvalid(f"names the key {twice[:60]!r} twice")
    return value


def _no_constant(name: str) -> Any:
    raise PayloadInvalid(f"holds {name}, which is no JSON number")


_ENCODER = msgspec.json.Encoder()
_QUICK_DECODER = msgspec.json.Decoder(dict[str, Any])
_TRUSTING_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
_ROUNDING_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys, parse_constant=_no_constant, parse_int=float
)
