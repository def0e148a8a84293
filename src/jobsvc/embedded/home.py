"""The data directory: what lies where in it, and that one server at a time has it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobsvc.embedded.unavailable import EmbeddedUnavailable

MAX_LOG_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Home:
    """The parts of a data directory."""

    root: Path

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.root / "pgdata"

    @property
    def log(self) -> Path:
        """What PostgreSQL says."""
        return self.root / "postgres.log"

    def rotate_log(self) -> int:
        """Puts a log that has grown large aside, over the last such; the bytes in use now."""
        if not self.log.exists():
            return 0
        size_bytes = self.log.stat().st_size
        if size_bytes <= MAX_LOG_BYTES:
            return size_bytes
        self.log.replace(self.log.with_suffix(".log.1"))
        return 0

    def complaint(self, offset: int) -> str:
        """The line of the log after `offset` that says most about a failure."""
        if not self.log.exists():
            return "it said nothing"
        with self.log.open("rb") as log:
            log.seek(offset)
            text = log.read(MAX_LOG_BYTES).decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        # After a FATAL line follow others that only say that it ends.
        grave = [n for n in lines if "FATAL:" in n or "PANIC:" in n or "error:" in n]
        return (grave or lines or ["it said nothing"])[-1].strip()


@contextmanager
def claim(data_dir: Path) -> Iterator[Home]:
    """Has the data directory for this process alone while entered; makes it if need be.

    The lock ends with the process, however that ends.

    Raises:
        EmbeddedUnavailable: another server has it, or it cannot be written.
    """
    home = Home(data_dir.absolute())
    try:
        home.root.mkdir(parents=True, exist_ok=True)
        lock = os.open(home.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise EmbeddedUnavailable(
            f"cannot write to the data directory {home.root}: {error.strerror}"
        ) from error
    try:
        if not os.access(home.root, os.W_OK | os.X_OK):
            raise EmbeddedUnavailable(f"cannot write to the data directory {home.root}")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise in_use(home, os.read(lock, 32).decode(errors="replace")) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield home
    finally:
        os.close(lock)


def in_use(home: Home, pid: str) -> EmbeddedUnavailable:
    """The error for a data directory that another process has."""
    holder = f" (pid {pid.strip()})" if pid.strip() else ""
    return EmbeddedUnavailable(
        f"the data directory {home.root} is in use by another server{holder}"
    )
