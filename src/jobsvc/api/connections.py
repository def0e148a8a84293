"""The server's TCP connections, found among the open files of the process: gRPC does not give them
out."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

_IP = (socket.AF_INET, socket.AF_INET6)


def cut_connections(port: int) -> None:
    """Stops listening on `port`, and cuts every connection to it.

    A call in progress then ends with UNAVAILABLE at its client. gRPC, told to stop, would end it
    with CANCELLED, as if the caller itself had given up.
    """
    for path in Path("/dev/fd").iterdir():
        # Files are closed, and their numbers given to others, while this goes on.
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(path.name))) as found:
                if found.family in _IP and found.getsockname()[1] == port:
                    found.shutdown(socket.SHUT_RDWR)
