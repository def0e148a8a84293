"""What a process has measured, in plain numbers: to add one costs a few hundred nanoseconds, where
the instruments of the SDK take some microseconds. `jobsvc.tracing.publish` hands them to the SDK
when that collects."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jobsvc.telemetry.catalogue import MAX_QUEUES, OTHER_QUEUES, Instrument, Kind
from jobsvc.telemetry.counting import count_sorted
from jobsvc.telemetry.job_tallies import JobTallies

#: Values of attributes, in the order of the instrument.
Attributes = tuple[str, ...]
#: The last digit of a traceparent whose span is sampled; none ends the text.
_SAMPLED = frozenset("13579bdf")
#: Returns the values of a gauge as they are now. It is called by other threads.
Read = Callable[[], Iterable[tuple[Attributes, float]]]


class Tally:
    """A counter."""

    def __init__(self) -> None:
        self._counts: dict[Attributes, float] = {}

    def add(self, count: float, *attributes: str) -> None:
        """Adds to the count under these attributes."""
        self._counts[attributes] = self._counts.get(attributes, 0) + count

    def read(self) -> Sequence[tuple[Attributes, float]]:
        """Returns the counts."""
        return list(self._counts.items())


class Example(NamedTuple):
    """A value, and the trace that it is of."""

    value: float
    time_nanos: int
    #: W3C's, of a span that is sampled.
    traceparent: str


class Buckets:
    """How many values fell into each bucket, and their sum."""

    __slots__ = ("counts", "examples", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0
        #: The last one of each bucket that has any.
        self.examples: dict[int, Example] = {}


class Distribution:
    """A histogram."""

    def __init__(self, boundaries: Sequence[float]) -> None:
        self._boundaries = boundaries
        self._series: dict[Attributes, Buckets] = {}

    def record(self, value: float, *attributes: str) -> None:
        """Records a value under these attributes."""
        buckets = self._series.get(attributes) or self._add(attributes)
        buckets.counts[bisect_left(self._boundaries, value)] += 1
        buckets.sum += value

    def record_all(self, values: Iterable[float], *attributes: str) -> None:
        """Records many values, cheaper than each for itself."""
        ordered = sorted(values)
        if not ordered:
            return
        buckets = self._series.get(attributes) or self._add(attributes)
        buckets.sum += sum(ordered)
        count_sorted(buckets.counts, self._boundaries, ordered)

    def exemplify(self, value: float, traceparent: str, *attributes: str) -> None:
        """Notes of which trace a value is that was recorded, if that trace is sampled."""
        if traceparent[-1:] in _SAMPLED:
            buckets = self._series.get(attributes) or self._add(attributes)
            bucket = bisect_left(self._boundaries, value)
            buckets.examples[bucket] = Example(value, time.time_ns(), traceparent)

    def read(self) -> Sequence[tuple[Attributes, Buckets]]:
        """Returns what was recorded."""
        return list(self._series.items())

    def _add(self, attributes: Attributes) -> Buckets:
        return self._series.setdefault(attributes, Buckets(len(self._boundaries) + 1))


class Measurements:
    """All that one process, or one replica, measures."""

    def __init__(self) -> None:
        self.tallies: dict[Instrument, Tally] = {}
        self.distributions: dict[Instrument, Distribution] = {}
        self.gauges: dict[Instrument, Read] = {}
        self.jobs = JobTallies()
        self._queues: dict[str, str] = {}

    def tally(self, instrument: Instrument) -> Tally:
        """Returns the counter of an instrument, the same for all who ask."""
        assert instrument.kind is Kind.COUNTER, instrument.name
        return self.tallies.setdefault(instrument, Tally())

    def distribution(self, instrument: Instrument) -> Distribution:
        """Returns the histogram of an instrument, the same for all who ask."""
        assert instrument.kind is Kind.HISTOGRAM, instrument.name
        return self.distributions.setdefault(instrument, Distribution(instrument.boundaries))

    def gauge(self, instrument: Instrument, read: Read) -> None:
        """Has a gauge, or a counter that somebody else keeps, read when it is collected."""
        assert instrument.kind is not Kind.HISTOGRAM, instrument.name
        self.gauges[instrument] = read

    def queue(self, name: str) -> str:
        """Returns the attribute for a queue: its name, or `OTHER_QUEUES` once there are many."""
        found = self._queues.get(name)
        if found is not None:
            return found
        if len(self._queues) >= MAX_QUEUES:
            return OTHER_QUEUES
        self._queues[name] = name
        return name
