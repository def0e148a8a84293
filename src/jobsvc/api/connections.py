"""Which connections are served. Each takes a file, and where files run out, gRPC lets clients wait
without a word."""

import asyncio
import logging
import resource
from collections.abc import Iterable
from urllib.parse import unquote

from jobsvc.api.open_sockets import Peer, PeerScan, open_files, plain_address
from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit, Holdings

log = logging.getLogger(__name__)

#: Files that are kept back for the database, logs, and what libraries open.
_RESERVED_FILES = 64
_SCAN_SECONDS = 0.25
#: Room for connections that are there only to be refused in words.
_REFUSED_SHARE = 8


def most_connections() -> int:
    """Returns how many connections the limit of open files allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 - 1 if files == resource.RLIM_INFINITY else max(1, files - _RESERVED_FILES)


class Connections:
    """Which connections are served: of each address the first ones, up to its share. Others are
    refused in words; and those for which there is no room even for that are cut."""

    def __init__(self, most: int, reserved_percent: int) -> None:
        #: gRPC itself has to cut off those beyond.
        self.most = most
        refused = most // _REFUSED_SHARE
        self._held = Holdings(FairLimit.reserving(most - refused, reserved_percent))
        self._refused_limit = FairLimit.reserving(refused, reserved_percent)
        self._served: set[Peer] = set()
        #: So many that a caller may be beyond its share; only then do calls have to be checked.
        self.full = False

    def check(self, peer: str) -> None:
        """Refuses a call on a connection that is one too many.

        Raises:
            RateLimited: in words for the caller.
        """
        found = _parsed(peer)
        if found is not None and self._serves(found):
            return
        limit = self._held.limit.limit
        if self._held.total >= limit or found is None:
            raise RateLimited(
                f"the server serves {limit} connections at a time;"
                " try again later, or at another replica",
                "connections",
            )
        raise RateLimited(
            f"you have {self._held.of(found[0])} connections, your share of the server's {limit};"
            " use fewer, or another replica",
            "your share of connections",
        )

    async def watch(self, port: int) -> None:
        """Counts the TCP connections to `port` again and again, until cancelled."""
        blind = False
        scan = PeerScan(port)
        while True:
            await asyncio.sleep(_SCAN_SECONDS)
            try:
                # All files, which are quick to count, bound the connections from above.
                if self.full or open_files() >= self._most_unchecked:
                    cut = self.update(await asyncio.to_thread(scan.peers))
                    if cut:
                        await asyncio.to_thread(scan.cut, cut)
            except OSError as error:  # To look takes a file, too.
                if not blind:
                    log.error("cannot count connections: %s", error)
                blind = True
            else:
                blind = False

    def update(self, peers: Iterable[Peer]) -> set[Peer]:
        """Decides which of the connections that there are now are served, and returns those for
        which there is no room even to be refused."""
        there = dict.fromkeys(peers)
        for gone in self._served.difference(there):
            self._served.remove(gone)
            self._held.add(gone[0], -1)
        refused = Holdings(self._refused_limit)
        cut = {p for p in there if not self._serves(p) and not refused.take(p[0])}
        was_full, self.full = self.full, len(there) >= self._most_unchecked
        if self.full and not was_full:
            log.error(
                "%d connections: more are refused, of an address that has its share, or of all."
                " Raise JOBSVC_MAX_CONNECTIONS or the limit of open files (ulimit -n), or start"
                " another replica",
                len(there),
            )
        elif was_full and not self.full:
            log.info("%d connections: new ones are served again", len(there))
        return cut

    @property
    def _most_unchecked(self) -> int:
        """With fewer connections, nobody is beyond its share."""
        return self._held.limit.limit - self._held.limit.reserve

    def _serves(self, peer: Peer) -> bool:
        """Whether a connection is served, maybe from now on."""
        if peer in self._served:
            return True
        if not self._held.take(peer[0]):
            return False
        self._served.add(peer)
        return True


def _parsed(peer: str) -> Peer | None:
    """A peer as gRPC names it: `ipv4:127.0.0.1:50051`, `ipv6:%5B::1%5D:50051`."""
    address, _, number = unquote(peer.partition(":")[2]).rpartition(":")
    try:
        return plain_address(address.strip("[]")), int(number)
    except ValueError:
        return None
