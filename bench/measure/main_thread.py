"""What the main thread of a process has computed, read while it runs (Linux)."""

from __future__ import annotations

import os
from types import TracebackType


class MainThread:
    """The main thread of another process, from the beginning to the end of a `with` block."""

    def __init__(self, pid: int) -> None:
        self._path = f"/proc/{pid}/task/{pid}/schedstat"

    def __enter__(self) -> MainThread:
        self._file = os.open(self._path, os.O_RDONLY)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def cpu_seconds(self) -> float:
        """How long it has had a core."""
        # The first of three numbers, in nanoseconds.
        return int(os.pread(self._file, 100, 0).split()[0]) / 1e9
