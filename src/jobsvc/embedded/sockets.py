"""The unix socket of the embedded PostgreSQL, the only way to connect to it."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from jobsvc.embedded.account import Account
from jobsvc.embedded.data_directory import DataDirectory, is_claimed
from jobsvc.embedded.initdb import DATABASE, USER
from jobsvc.embedded.unavailable import EmbeddedUnsuitable

PORT = 5432
#: sun_path holds 108 bytes on Linux and 104 on macOS, the final zero included.
MAX_SOCKET_BYTES = 103
#: Other characters would need quoting in unix_socket_directories, or split a DSN's list of hosts.
PLAIN_PATH = re.compile(r"[\w/.+-]+", re.ASCII)


#: Says where the socket is, in the data directory.
_NOTE = "socket"


def running_dsn(data_dir: Path) -> str | None:
    """Returns the DSN of the PostgreSQL that runs on a data directory for another process, which
    only its account, or root, can use. None if there is none."""
    data = DataDirectory(data_dir.absolute())
    if not is_claimed(data):
        return None
    try:
        return dsn(Path((data.root / _NOTE).read_text().removesuffix("\n")))
    except FileNotFoundError:
        return None


@contextmanager
def socket_folder(data: DataDirectory, account: Account | None) -> Iterator[Path]:
    """Makes the folder for the socket, which only its owner can open.

    The folder is `run` in the data directory, or a temporary one if that path is too long for
    a socket or has characters that a DSN cannot contain.

    Raises:
        EmbeddedUnavailable: no usable path was found.
    """
    if _usable(folder := data.root / "run"):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        temporary = False
    else:
        parent = next(
            (p for p in (tempfile.gettempdir(), "/tmp") if _usable(Path(p, "x" * 16))), ""
        )
        if not parent:
            raise EmbeddedUnsuitable(f"{folder} is too long for a socket: set a short TMPDIR")
        folder = Path(tempfile.mkdtemp(prefix="jobsvc-", dir=parent))
        temporary = True
    (data.root / _NOTE).write_text(f"{folder}\n")
    try:
        if account:
            account.own(folder)
        yield folder
    finally:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)


def clear(folder: Path) -> None:
    """Removes the socket and its lock file that a killed postmaster left."""
    for path in folder.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def dsn(folder: Path) -> str:
    """Returns the DSN for asyncpg and psql. It names the port so that PGPORT is ignored."""
    return f"postgresql://{USER}@/{DATABASE}?" + urlencode({"host": folder, "port": PORT}, safe="/")


def _usable(folder: Path) -> bool:
    name = str(folder / f".s.PGSQL.{PORT}")
    return len(name) <= MAX_SOCKET_BYTES and PLAIN_PATH.fullmatch(name) is not None
