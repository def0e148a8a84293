"""How often a caller may call and create jobs, and how much it may have in progress. No I/O; the
clock's reading is an argument."""

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from functools import cached_property
from typing import Annotated, NamedTuple

import msgspec

#: Without a word of the policy. More than a replica serves, so that it stops only what is out of
#: control: a machine that is faster serves it all.
_DEFAULT_CALLS_PER_SECOND = 20_000.0
_DEFAULT_JOBS_PER_SECOND = 100_000.0
#: Without a word of the policy, a burst is what the rate gives in so many seconds.
_BURST_SECONDS = 2
#: Callers that are remembered before those are forgotten whose bucket is full.
_MAX_CALLERS = 1000
#: Clocks are read as floats.
_TOLERANCE_SECONDS = 1e-6

_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]


class Rate(NamedTuple):
    """So many a second in the long run, and so many at once."""

    per_second: float
    burst: float


class CallKind(Enum):
    """Kinds of calls that a share tells apart."""

    #: Answered at once.
    CALL = auto()
    #: One answer, when something has happened.
    WAITING = auto()
    STREAM = auto()
    #: Never refused for its rate or number: that would waste work that is done.
    REPORT = auto()


class CallTerms(NamedTuple):
    """What holds for a call of one kind; None for no limit of the caller's own."""

    rate: Rate | None = None
    #: Calls of the kind in progress.
    most: int | None = None
    most_bytes: int | None = None


class Share(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What a caller may do on a replica; None leaves it to others or to the default, which for the
    last four is a part of what all callers may have together."""

    calls_per_second: _Positive | None = None
    calls_burst: _Count | None = None
    jobs_per_second: _Positive | None = None
    jobs_burst: _Count | None = None
    #: Open streams, and unary calls that wait.
    streams: _Count | None = None
    waiting_calls: _Count | None = None
    #: Of requests and answers. Who holds none may have one of any size.
    bytes_in_progress: _Count | None = None
    #: Jobs of the service that wait, on all replicas.
    waiting_jobs: _Count | None = None

    def over(self, other: "Share") -> "Share":
        """Returns this share with what it leaves open taken from `other`. A rate and its burst
        belong together."""
        calls = self if self.calls_per_second is not None else other
        jobs = self if self.jobs_per_second is not None else other
        limits = {
            name: ours if (ours := getattr(self, name)) is not None else getattr(other, name)
            for name in _LIMITS
        }
        return Share(
            calls.calls_per_second,
            calls.calls_burst,
            jobs.jobs_per_second,
            jobs.jobs_burst,
            **limits,
        )

    @property
    def complaint(self) -> str:
        """What is wrong with it; empty if nothing is."""
        for kind in ("calls", "jobs"):
            burst, rate = getattr(self, f"{kind}_burst"), getattr(self, f"{kind}_per_second")
            if burst is not None and rate is None:
                return f"{kind}_burst needs {kind}_per_second"
        return "" if self != Share() else "the share says nothing"

    @cached_property
    def calls(self) -> Rate:
        """The rate of its calls."""
        return _rate(self.calls_per_second, self.calls_burst, _DEFAULT_CALLS_PER_SECOND)

    @cached_property
    def terms(self) -> Mapping[CallKind, CallTerms]:
        """What holds for its calls of each kind."""
        most_bytes = self.bytes_in_progress
        return {
            CallKind.CALL: CallTerms(self.calls, None, most_bytes),
            CallKind.WAITING: CallTerms(self.calls, self.waiting_calls, most_bytes),
            CallKind.STREAM: CallTerms(self.calls, self.streams, most_bytes),
            CallKind.REPORT: CallTerms(None, None, most_bytes),
        }

    @cached_property
    def jobs(self) -> Rate:
        """The rate of the jobs that it creates."""
        return _rate(self.jobs_per_second, self.jobs_burst, _DEFAULT_JOBS_PER_SECOND)


_LIMITS = ("streams", "waiting_calls", "bytes_in_progress", "waiting_jobs")

#: That of a caller of whom the policy says nothing.
DEFAULT_SHARE = Share()


def first_of(shares: Iterable[Share | None]) -> Share:
    """Returns what the first share says that says it, for each rate."""
    merged = Share()
    for share in shares:
        if share is not None:
            merged = merged.over(share)
    return merged


def _rate(per_second: float | None, burst: int | None, default: float) -> Rate:
    rate = per_second if per_second is not None else default
    return Rate(rate, burst if burst is not None else max(rate * _BURST_SECONDS, 1.0))


class Buckets:
    """What each caller has left of its burst: a bucket that fills at its rate."""

    def __init__(self) -> None:
        #: When the bucket of each caller will be full again.
        self._full_time: dict[str, float] = {}

    def __len__(self) -> int:
        """How many callers it remembers."""
        return len(self._full_time)

    def take(self, caller: str, rate: Rate, now: float, amount: int = 1) -> float:
        """Takes an amount, and returns 0; or takes nothing, and returns the seconds after which it
        is there. More than a burst is there when the bucket is full, which then owes the rest."""
        seconds = self.wait_seconds(caller, rate, now, amount)
        if not seconds:
            if len(self._full_time) >= _MAX_CALLERS and caller not in self._full_time:
                self._full_time = {c: full for c, full in self._full_time.items() if full > now}
            full_time = max(self._full_time.get(caller, now), now)
            self._full_time[caller] = full_time + amount / rate.per_second
        return seconds

    def wait_seconds(self, caller: str, rate: Rate, now: float, amount: int = 1) -> float:
        """Returns the seconds after which an amount is there; 0 if it is."""
        full_time = max(self._full_time.get(caller, now), now)
        missing = full_time - now + (amount - max(rate.burst, amount)) / rate.per_second
        return missing if missing > _TOLERANCE_SECONDS else 0.0
