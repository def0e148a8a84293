"""The disk of a database, where it is one of this machine."""

import shutil
from pathlib import Path
from typing import NamedTuple


class Disk(NamedTuple):
    """A folder, and the room on its disk."""

    folder: str
    free_bytes: int
    size_bytes: int


def find_disk(backend_pid: int) -> Disk | None:
    """Returns the disk on which a process of PostgreSQL has its data; None if that cannot be seen:
    no Linux, another account, another container.

    Every process of PostgreSQL stands in the folder of its data; the setting `data_directory` may
    be a name that only PostgreSQL can follow.
    """
    try:
        folder = Path("/proc", str(backend_pid), "cwd").readlink()
        if not (folder / "PG_VERSION").is_file():  # In a container the number is somebody else's.
            return None
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Disk(str(folder), usage.free, usage.total)
