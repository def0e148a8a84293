"""The comments of the contract, by what they are about."""

import re
from collections.abc import Iterator
from pathlib import Path

PROTO = Path(__file__).parents[2] / "proto" / "jobsvc" / "v1"
_BLOCK = re.compile(r"(message|service|enum|oneof) (\w+) \{")
_ITEM = re.compile(r"(?:rpc (\w+)\(|(?:(?:optional|repeated) )?[\w.<>, ]+ (\w+) = \d+|(\w+) = \d+)")


def comments() -> dict[str, str]:
    """Each comment in one line, by `Message`, `Message.field` (also of a field in a oneof),
    `Enum.VALUE` or `Service.Method`."""
    return {name: text for path in sorted(PROTO.glob("*.proto")) for name, text in _of(path)}


def _of(path: Path) -> Iterator[tuple[str, str]]:
    blocks: list[str] = []
    told: list[str] = []
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if line.startswith("//"):
            told.append(line.removeprefix("//").strip())
            continue
        block, item = _BLOCK.match(line), _ITEM.match(line)
        names = [name for name in blocks if name]
        if block or item:
            found = block[2] if block else next(filter(None, item.groups()))  # type: ignore[union-attr]
            if told:
                yield ".".join([*names, found]), " ".join(" ".join(told).split())
        told = []
        if line.endswith("{"):
            # What is in a oneof is named as if it were not.
            blocks.append(block[2] if block and block[1] != "oneof" else "")
        elif line == "}":
            blocks.pop()
