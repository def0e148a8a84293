"""Counting values into buckets. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import MutableSequence, Sequence


def count_sorted(
    counts: MutableSequence[int], boundaries: Sequence[float], ordered: Sequence[float]
) -> None:
    """Adds values in ascending order to the counts of buckets. A boundary belongs to the bucket
    below it; the last bucket has none."""
    start = 0
    while start < len(ordered):
        bucket = bisect_left(boundaries, ordered[start])
        is_last = bucket == len(boundaries)
        end = len(ordered) if is_last else bisect_right(ordered, boundaries[bucket], start)
        counts[bucket] += end - start
        start = end
