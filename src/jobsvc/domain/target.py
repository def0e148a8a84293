"""The address of a server, as a caller or a worker names it."""

import re

_MAX_PORT = 65_535


def check_target(target: str) -> None:
    """Refuses a port that does not exist; gRPC would call another one.

    Raises:
        ValueError: naming it.
    """
    port = re.search(r":(\d+)$", target, re.ASCII)
    if port and int(port[1]) > _MAX_PORT and not target.startswith("unix"):
        raise ValueError(f"target {target}: the port must be at most {_MAX_PORT}")
