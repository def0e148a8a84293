"""The data directory: the paths in it, and the lock that gives it to one server at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobsvc.embedded.unavailable import EmbeddedUnavailable, EmbeddedUnsuitable

MAX_LOG_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The paths in a data directory."""

    root: Path

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.root / "pgdata"

    @property
    def log(self) -> Path:
        """The log of PostgreSQL."""
        return self.root / "postgres.log"

    def rotate_log(self) -> int:
        """Renames a large log, replacing the one renamed before; returns the log's size now."""
        if not self.log.exists():
            return 0
        size_bytes = self.log.stat().st_size
        if size_bytes <= MAX_LOG_BYTES:
            return size_bytes
        self.log.replace(self.log.with_suffix(".log.1"))
        return 0

    def complaint(self, offset: int) -> str:
        """Returns the line of the log after `offset` that best explains a failure."""
        if not self.log.exists():
            return "it said nothing"
        with self.log.open("rb") as log:
            log.seek(offset)
            text = log.read(MAX_LOG_BYTES).decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        # Lines after a FATAL one only say that PostgreSQL ends.
        grave = [n for n in lines if "FATAL:" in n or "PANIC:" in n or "error:" in n]
        return (grave or lines or ["it said nothing"])[-1].strip()


@contextmanager
def claim(data_dir: Path) -> Iterator[DataDirectory]:
    """Locks the data directory for this process while entered; makes the directory if needed.

    The lock ends with the process, even if that is killed.

    Raises:
        EmbeddedUnavailable: another server has the lock, or the directory cannot be written.
    """
    data = DataDirectory(data_dir.absolute())
    try:
        data.root.mkdir(parents=True, exist_ok=True)
        lock = os.open(data.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise EmbeddedUnsuitable(
            f"cannot write to the data directory {data.root}: {error.strerror}"
        ) from error
    try:
        if not os.access(data.root, os.W_OK | os.X_OK):
            raise EmbeddedUnsuitable(f"cannot write to the data directory {data.root}")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise in_use(data, os.read(lock, 32).decode(errors="replace")) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield data
    finally:
        os.close(lock)


def is_claimed(data: DataDirectory) -> bool:
    """Returns whether a process has the lock of a data directory."""
    try:
        lock = os.open(data.root / "lock", os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def in_use(data: DataDirectory, pid: str) -> EmbeddedUnavailable:
    """Returns the error for a data directory that another process uses."""
    holder = f" (pid {pid.strip()})" if pid.strip() else ""
    return EmbeddedUnavailable(
        f"the data directory {data.root} is in use by another server{holder}"
    )
