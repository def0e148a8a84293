"""Peers as systems of the plan."""

from __future__ import annotations

from bench.peers import PEERS
from bench.system import System


class PeersMissing(Exception):
    """Peers are not installed. The text says which."""


def peer_systems(backlog: int) -> list[System]:
    """All peers; `backlog` jobs wait behind those that are drained in drain-1m.

    Raises:
        PeersMissing: not all of them are installed.
    """
    missing = [peer.name for peer in PEERS if not peer.installed]
    if missing:
        raise PeersMissing(f"not installed: {', '.join(missing)}; make peers installs them")
    return [peer.system(backlog) for peer in PEERS]
