"""When a worker's stream is old enough to move to another connection, so that workers spread over
the replicas that there are now. Pure."""

from math import inf

#: Ages differ by up to this share of the maximum either way, so that streams that began together do
#: not move together.
SPREAD = 0.2


def drain_time(begin_time: float, max_age_seconds: float, draw: float) -> float:
    """Returns when a stream that began at `begin_time` is told to drain; infinity if the maximum is
    0. `draw` is a random number from 0 to 1."""
    if not max_age_seconds:
        return inf
    return begin_time + max_age_seconds * (1 - SPREAD + 2 * SPREAD * draw)
