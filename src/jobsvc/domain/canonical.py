"""Payloads as bytes that are equal for equal payloads, however they are spelled. Pure.

The bytes are part of what request ids are compared by, also between versions of the server.
"""

import json
from collections.abc import Generator, Iterable, Iterator
from itertools import islice, zip_longest
from typing import Any

from jobsvc.domain.payload import parse_payload

#: Values that are spelled in one step, which takes less than a millisecond.
_STEP_VALUES = 2000
_CONTAINERS = frozenset((dict, list))
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> bytes:
    """Returns equal bytes for equal payloads, whatever their key order and white space."""
    text = _encode(value)
    if ".0" in text or "e+" in text:
        # 1, 1.0 and 1e0 are the same number.
        text = _encode(_whole(value))
    return text.encode()


def canonical_steps(value: Any) -> Iterator[bytes]:
    """Yields the same bytes piece by piece, each after a short step of work."""
    if not _is_large(value):
        yield canonical(value)
        return
    is_object = isinstance(value, dict)
    before, end = (b"{", b"}") if is_object else (b"[", b"]")
    parts = iter(sorted(value.items()) if is_object else zip(value, value, strict=True))
    while some := list(islice(parts, _STEP_VALUES)):
        for run in _runs(some):
            if isinstance(run, list):
                # Without its brackets.
                yield before + canonical(dict(run) if is_object else [v for _, v in run])[1:-1]
            else:
                key, large = run
                yield before + (canonical(key) + b":" if is_object else b"")
                yield from canonical_steps(large)
            before = b","
    yield end


# Any: a key, or an item once more, and a value.
def _runs(parts: list[tuple[Any, Any]]) -> Iterable[list[tuple[Any, Any]] | tuple[Any, Any]]:
    """Lists of parts that are small together, and large parts each by itself."""
    if _CONTAINERS.isdisjoint([value.__class__ for _, value in parts]):
        yield parts
        return
    run: list[tuple[Any, Any]] = []
    left = _STEP_VALUES
    for part in parts:
        size = _size(part[1])
        left -= size
        if left < 0 and run:
            yield run
            run, left = [], _STEP_VALUES - size
        if size > _STEP_VALUES:
            yield part
            left = _STEP_VALUES
        else:
            run.append(part)
    if run:
        yield run


def _is_large(value: Any) -> bool:
    return _size(value) > _STEP_VALUES


def _size(value: Any) -> int:
    """The number of values in a value, itself included; some number above `_STEP_VALUES` if it is
    larger than that."""
    if value.__class__ not in _CONTAINERS:
        return 1
    size, containers = 1, [value]
    for container in containers:  # It grows meanwhile.
        size += len(container)
        if size > _STEP_VALUES:
            break
        members = container.values() if isinstance(container, dict) else container
        containers += [m for m in members if m.__class__ in _CONTAINERS and m]
    return size


def same_payload(text: str | None, other: str | None) -> Generator[None, None, bool]:
    """Returns, after short steps of work, whether two payloads are equal, however they are spelled;
    None is the empty object.

    Raises:
        PayloadInvalid: one of them is no payload, and they are not the same text.
    """
    if text == other:
        return True
    one = parse_payload(text or "{}")
    yield
    another = parse_payload(other or "{}")
    yield
    if one != another:
        return False
    # To Python true is equal to 1.
    for piece, its in zip_longest(canonical_steps(one), canonical_steps(another)):
        if piece != its:
            return False
        yield
    return True


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value
