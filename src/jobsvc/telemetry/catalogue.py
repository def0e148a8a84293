"""The catalogue: every metric there is, with all that a dashboard may rely on.

`docs/reference/metrics.md` has the same table. A test compares its lines with these, and both with
what a running server says.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What the values of a metric are."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric. Every record of it has all of its attributes."""

    name: str
    kind: Kind
    #: As UCUM has it: `s`, `By`; what is counted in braces.
    unit: str
    attributes: tuple[str, ...]
    description: str
    #: Of a histogram: the upper bound of each bucket but the last, which has none.
    boundaries: tuple[float, ...] = ()


#: In the attribute `queue`: all queues but the first `MAX_QUEUES` that were seen.
OTHER_QUEUES = "other"
MAX_QUEUES = 100

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG = (0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_LAG = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)

JOBS_CREATED = Instrument(
    "jobsvc.jobs.created", Kind.COUNTER, "{job}", ("queue",), "Jobs that were created"
)
JOBS_ENDED = Instrument(
    "jobsvc.jobs.ended",
    Kind.COUNTER,
    "{job}",
    ("queue", "state", "reason"),
    "Jobs that have ended, in this state, for this reason",
)
JOBS_RETRIED = Instrument(
    "jobsvc.jobs.retried",
    Kind.COUNTER,
    "{job}",
    ("queue", "reason"),
    "Jobs that wait again after an attempt that failed for this reason",
)
JOBS_RELEASED = Instrument(
    "jobsvc.jobs.released",
    Kind.COUNTER,
    "{job}",
    ("queue",),
    "Jobs that workers handed back undone",
)
JOBS_REDELIVERED = Instrument(
    "jobsvc.jobs.redelivered",
    Kind.COUNTER,
    "{job}",
    ("queue",),
    "Jobs that went back to their queue because they did not reach their worker",
)
JOBS_RESCUED = Instrument(
    "jobsvc.jobs.rescued",
    Kind.COUNTER,
    "{job}",
    ("queue", "reason"),
    "Jobs whose lease was ended by the rescue, for this reason",
)
JOB_WAIT = Instrument(
    "jobsvc.job.wait.duration",
    Kind.HISTOGRAM,
    "s",
    ("queue",),
    "From the moment when a job was ready until it was leased",
    _LONG,
)
JOB_RUN = Instrument(
    "jobsvc.job.run.duration",
    Kind.HISTOGRAM,
    "s",
    ("queue",),
    "From the lease of a job until its attempt has ended",
    _LONG,
)

DATABASE_FAILURES = Instrument(
    "jobsvc.database.failures",
    Kind.COUNTER,
    "{failure}",
    ("error.type",),
    "Failures of statements and connections, by SQLSTATE or the name of the error",
)
HORIZON_AGE = Instrument(
    "jobsvc.database.horizon.age",
    Kind.GAUGE,
    "s",
    (),
    "For how long somebody has kept dead rows from being removed; 0 when nobody does",
)
LOOP_LAG = Instrument(
    "jobsvc.loop.lag", Kind.HISTOGRAM, "s", (), "How late the event loop wakes a timer", _LAG
)

#: Metrics of a server, in the order of the documentation.
SERVER_INSTRUMENTS: tuple[Instrument, ...] = (
    JOBS_CREATED,
    JOBS_ENDED,
    JOBS_RETRIED,
    JOBS_RELEASED,
    JOBS_REDELIVERED,
    JOBS_RESCUED,
    JOB_WAIT,
    JOB_RUN,
    DATABASE_FAILURES,
    HORIZON_AGE,
    LOOP_LAG,
)
