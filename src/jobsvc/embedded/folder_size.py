"""How much room a folder takes."""

import os
from contextlib import suppress
from pathlib import Path

#: Of `st_blocks`, on every system.
_BLOCK_BYTES = 512


def folder_bytes(folder: Path) -> int:
    """Returns what all files below a folder take, some of which may vanish meanwhile.

    Raises:
        OSError: the folder cannot be looked at.
    """
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
    return total
