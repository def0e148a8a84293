"""A length of time, as a caller writes it."""

import math
from datetime import timedelta
from typing import TypeAlias

#: A length of time: seconds, or a timedelta.
Duration: TypeAlias = float | timedelta


def to_seconds(duration: Duration) -> float:
    """Returns a length of time in seconds.

    Raises:
        ValueError: the length is not finite.
    """
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if not math.isfinite(duration):
        raise ValueError(f"a length of time must be finite, not {duration}")
    return float(duration)
