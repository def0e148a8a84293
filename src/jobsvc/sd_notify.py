"""What a service manager hears of a process, by the protocol of systemd's sd_notify(3)."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Self

log = logging.getLogger(__name__)


class ServiceManager:
    """Sends datagrams to the socket of a service manager; does nothing if there is none."""

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        #: Linux names a socket without a file by a null byte, and the variable by an @.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog_seconds = watchdog_seconds
        self._is_ready = False

    @classmethod
    def take_from(cls, environment: MutableMapping[str, str]) -> Self:
        """Reads the variables, and takes them away: child processes must not speak for this one."""
        address = environment.pop("NOTIFY_SOCKET", "")
        microseconds = environment.pop("WATCHDOG_USEC", "")
        is_meant = environment.pop("WATCHDOG_PID", "") in ("", str(os.getpid()))
        is_watched = is_meant and microseconds.isdigit() and int(microseconds) > 0
        return cls(address, int(microseconds) / 1e6 if is_watched else None)

    def tell(self, *assignments: str, status: str = "") -> None:
        """Sends assignments, as in `READY=1`, and a `status` for people in one line."""
        if not self._address:
            return
        if "READY=1" in assignments or "STOPPING=1" in assignments:
            self._is_ready = "READY=1" in assignments
        lines = [*assignments, *([f"STATUS={' '.join(status.split())}"] if status else [])]
        try:
            self._send("\n".join(lines).encode())
        except OSError as error:
            log.info("the service manager does not hear %s: %s", lines, error)

    def _send(self, data: bytes) -> None:
        """Sends a datagram. Raises OSError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(data, self._address)

    def reload(self, action: Callable[[], None]) -> None:
        """Runs the action, and sends that a reload begins and ends, which says that this process is
        ready: one that is not, or not any more, sends nothing."""
        if not self._is_ready:
            action()
            return
        # systemd wants to know that this answers its own, not an earlier, request.
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            action()
        finally:
            self.tell("READY=1")

    async def ping(self) -> None:
        """Says that the event loop is alive, twice as often as the manager asks for, until
        cancelled. Returns at once if nobody asks."""
        while self._watchdog_seconds is not None and self._address:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_seconds / 2)
