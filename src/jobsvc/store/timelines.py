"""Which of several servers is the current primary of the database, by their timelines.

PostgreSQL raises the timeline at each promotion. A server whose timeline is below one that was seen
is an old primary, which may still take writes that nobody will find again.
"""

import logging
import weakref
from typing import NamedTuple

import asyncpg

log = logging.getLogger(__name__)


class StaleServer(asyncpg.InterfaceError):
    """A connection leads to an old primary, or to another database."""


class ServerIdentity(NamedTuple):
    """What a server says that it is."""

    #: Where it was reached, in words.
    address: str
    #: The same for a primary, its standbys and what they are promoted to.
    system_identifier: int
    #: None on a standby.
    timeline: int | None
    #: The highest timeline that replicas have seen elsewhere, as recorded here; 0 if none.
    seen_elsewhere: int = 0


class Seen(NamedTuple):
    """The highest timeline that was seen, and where."""

    address: str
    system_identifier: int
    timeline: int


def refusal(server: ServerIdentity, seen: Seen | None) -> str | None:
    """Returns why a server must not be used, or None. Pure."""
    if seen is not None and seen.system_identifier != server.system_identifier:
        return (
            f"{server.address} is another database (system {server.system_identifier}) than"
            f" {seen.address} (system {seen.system_identifier}): look at JOBSVC_DSN; if it was"
            " moved on purpose, restart this replica"
        )
    if server.timeline is None:
        return None
    if seen is not None and server.timeline < seen.timeline:
        where, timeline = seen.address, seen.timeline
    elif server.timeline < server.seen_elsewhere:
        where, timeline = "another host", server.seen_elsewhere
    else:
        return None
    return (
        f"{server.address} is an old primary that still takes writes: it is on timeline"
        f" {server.timeline}, and timeline {timeline} was seen at {where}; stop {server.address}"
    )


class Timelines:
    """The highest timeline that any connection of this replica has seen. Closes those below it."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self._connections: weakref.WeakKeyDictionary[asyncpg.Connection, int] = (
            weakref.WeakKeyDictionary()
        )

    def admit(self, connection: asyncpg.Connection, server: ServerIdentity) -> None:
        """Takes a connection in. One that shows a higher timeline closes all others.

        Raises:
            StaleServer: it must not be used.
        """
        why = refusal(server, self.seen)
        if why is not None:
            raise StaleServer(why)
        if server.timeline is not None:
            self._connections[connection] = server.timeline
            self._raise_to(Seen(server.address, server.system_identifier, server.timeline))

    def hear(self, system_identifier: int, timeline: int) -> None:
        """Takes what another replica has seen. Closes all connections to a server below it."""
        if self.seen is not None and self.seen.system_identifier == system_identifier:
            self._raise_to(Seen("another host", system_identifier, timeline))

    def _raise_to(self, seen: Seen) -> None:
        if self.seen is not None and seen.timeline <= self.seen.timeline:
            return
        self.seen = seen
        behind = [c for c, t in self._connections.items() if t < seen.timeline]
        behind = [connection for connection in behind if not connection.is_closed()]
        for connection in behind:
            # In the middle of whatever it does: its transaction must not be committed there.
            connection.terminate()
        if behind:
            log.warning(
                "%s is on timeline %d: left the old primary, %d connections were closed",
                seen.address,
                seen.timeline,
                len(behind),
            )
