"""How much room a folder takes, and how much its disk has left."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

#: Of `st_blocks`, on every system.
_BLOCK_BYTES = 512


class DiskUse(NamedTuple):
    """Bytes of a folder, and those that its disk has free and in all."""

    used_bytes: int
    free_bytes: int
    disk_bytes: int


def disk_use(folder: Path) -> DiskUse:
    """Looks at all files below a folder, some of which may vanish meanwhile.

    Raises:
        OSError: the folder is not there.
    """
    disk = shutil.disk_usage(folder)
    return DiskUse(_bytes(folder), disk.free, disk.total)


def _bytes(folder: str | Path) -> int:
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _bytes(entry.path)
                    continue
                try:
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
                except FileNotFoundError:
                    continue
    except FileNotFoundError:
        return total
    return total
