"""Peers as systems of the plan; `bench/peers` has them, where it is there."""

from __future__ import annotations

import importlib

from bench.system import System


class PeersMissing(Exception):
    """There is no `bench.peers` here."""


def peer_systems() -> list[System]:
    """The peers that can be measured on this machine.

    Raises:
        PeersMissing: `bench.peers` is not there.
    """
    try:
        peers = importlib.import_module("bench.peers")
    except ModuleNotFoundError as error:
        raise PeersMissing("bench.peers is not there") from error
    return [System(peer.NAME, tuple(peer.SCENARIOS), peer.measure) for peer in peers.PEERS]
