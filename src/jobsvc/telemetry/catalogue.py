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
    #: As UCUM has it: `s`, `By`; what is counted in braces. Not `1`: Prometheus has that in the
    #: name of a gauge, as `_ratio`, or not, by who translates.
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
DATABASE_AVAILABLE = Instrument(
    "jobsvc.database.available",
    Kind.GAUGE,
    "{database}",
    (),
    "1 while the database answers, else 0",
)
AUDIT_LOST = Instrument(
    "jobsvc.audit.lost",
    Kind.COUNTER,
    "{entry}",
    (),
    "Entries of the audit that are in the log alone: the database did not take them",
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

QUEUE_JOBS = Instrument(
    "jobsvc.queue.jobs",
    Kind.GAUGE,
    "{job}",
    (
        "queue",
        "state",
    ),
    "Jobs that are ready, scheduled for later or processing; large numbers are estimates",
)

QUEUE_OLDEST_READY = Instrument(
    "jobsvc.queue.oldest_ready.age",
    Kind.GAUGE,
    "s",
    ("queue",),
    "For how long the oldest ready job has been ready; 0 when none is",
)

QUEUE_WORKERS = Instrument(
    "jobsvc.queue.workers",
    Kind.GAUGE,
    "{worker}",
    ("queue",),
    "Workers that take jobs of the queue, on all replicas",
)

QUEUE_OPEN_WINDOW = Instrument(
    "jobsvc.queue.open_window",
    Kind.GAUGE,
    "{lease}",
    ("queue",),
    "How many more leases these workers would take now",
)

QUEUE_PAUSED = Instrument(
    "jobsvc.queue.paused",
    Kind.GAUGE,
    "{queue}",
    ("queue",),
    "1 while the queue is paused, else 0",
)

QUEUE_MAX_WAITING = Instrument(
    "jobsvc.queue.max_waiting",
    Kind.GAUGE,
    "{job}",
    ("queue",),
    "How many jobs may wait, of a queue that has a `max_waiting`",
)

QUEUE_STATISTICS_AGE = Instrument(
    "jobsvc.queue.statistics.age",
    Kind.GAUGE,
    "s",
    (),
    "How long ago the metrics of queues were read from the database",
)

RPC_DURATION = Instrument(
    "rpc.server.call.duration",
    Kind.HISTOGRAM,
    "s",
    (
        "rpc.system.name",
        "rpc.method",
        "rpc.response.status_code",
    ),
    "Duration of calls; of a stream, until it has ended",
    _SHORT,
)

CALLS = Instrument(
    "jobsvc.calls.in_progress",
    Kind.GAUGE,
    "{call}",
    ("kind",),
    "Calls and streams in progress, by the limit that counts them",
)

CALLS_REFUSED = Instrument(
    "jobsvc.calls.refused",
    Kind.COUNTER,
    "{call}",
    (
        "rpc.method",
        "reason",
    ),
    "Calls and streams that ended with an error, by the reason in its details",
)

CALLS_WAITING = Instrument(
    "jobsvc.calls.waiting",
    Kind.GAUGE,
    "{call}",
    ("reason",),
    "Calls that wait for room for their bytes, or for a refusal that is late",
)

CALL_BYTES = Instrument(
    "jobsvc.calls.size",
    Kind.GAUGE,
    "By",
    (),
    "Bytes of requests and answers in memory",
)

WORKER_STREAMS = Instrument(
    "jobsvc.workers.connected",
    Kind.GAUGE,
    "{worker}",
    (),
    "Workers with a stream to this replica",
)

LEASES_HELD = Instrument(
    "jobsvc.leases.held",
    Kind.GAUGE,
    "{lease}",
    (),
    "Leases that these workers hold",
)

BATCHES = Instrument(
    "jobsvc.database.batches",
    Kind.COUNTER,
    "{batch}",
    ("batch",),
    "Batches that were written, or read, together",
)

BATCH_ITEMS = Instrument(
    "jobsvc.database.batch.items",
    Kind.COUNTER,
    "{item}",
    ("batch",),
    "Items in these batches",
)

STATEMENT_DURATION = Instrument(
    "jobsvc.database.statement.duration",
    Kind.HISTOGRAM,
    "s",
    ("statement",),
    "Duration of statements that are a transaction of their own, without the wait for a connection",
    _SHORT,
)

CONNECTIONS = Instrument(
    "jobsvc.database.connections",
    Kind.GAUGE,
    "{connection}",
    ("state",),
    "Connections of the pool, used and idle",
)

CONNECTIONS_WAITING = Instrument(
    "jobsvc.database.connections.waiting",
    Kind.GAUGE,
    "{request}",
    (),
    "Statements and transactions that wait for a connection",
)

LISTENING = Instrument(
    "jobsvc.hints.listening",
    Kind.GAUGE,
    "{connection}",
    (),
    "1 while notifications of other replicas arrive, else 0: then everything is late by a poll",
)

HINTS_LAG = Instrument(
    "jobsvc.hints.lag",
    Kind.GAUGE,
    "s",
    (),
    "How long the last notification to this replica itself took",
)

DUTY_SUCCESS_AGE = Instrument(
    "jobsvc.duty.success.age",
    Kind.GAUGE,
    "s",
    ("duty",),
    "How long ago a duty last succeeded",
)

DUTY_ITEMS = Instrument(
    "jobsvc.duty.items",
    Kind.COUNTER,
    "{item}",
    ("duty",),
    "Items that a duty has handled",
)

DUTY_FAILURES = Instrument(
    "jobsvc.duty.failures",
    Kind.COUNTER,
    "{failure}",
    ("duty",),
    "Runs of a duty that the database failed or refused",
)

CERTIFICATE_REMAINING = Instrument(
    "jobsvc.tls.certificate.remaining",
    Kind.GAUGE,
    "s",
    (),
    "For how long the certificate of the server is still valid, with its chain; then below 0",
)

EMBEDDED_DISK_FREE = Instrument(
    "jobsvc.embedded.disk.free",
    Kind.GAUGE,
    "By",
    (),
    "Room on the disk of the embedded PostgreSQL",
)

EMBEDDED_DISK_SIZE = Instrument(
    "jobsvc.embedded.disk.size",
    Kind.GAUGE,
    "By",
    (),
    "Size of that disk",
)

EMBEDDED_SIZE = Instrument(
    "jobsvc.embedded.size",
    Kind.GAUGE,
    "By",
    (),
    "Size of the data directory of the embedded PostgreSQL, its WAL included",
)

EMBEDDED_CONNECTIONS = Instrument(
    "jobsvc.embedded.connections",
    Kind.GAUGE,
    "{connection}",
    (),
    "Connections to the embedded PostgreSQL, of all programs",
)

EMBEDDED_RESTARTS = Instrument(
    "jobsvc.embedded.restarts",
    Kind.COUNTER,
    "{restart}",
    (),
    "Starts of the embedded PostgreSQL after it had ended unexpectedly",
)

PROCESS_CPU_TIME = Instrument(
    "process.cpu.time",
    Kind.COUNTER,
    "s",
    ("cpu.mode",),
    "Time of the processor, user and system",
)

PROCESS_MEMORY = Instrument(
    "process.memory.usage",
    Kind.GAUGE,
    "By",
    (),
    "Resident memory",
)

PROCESS_FILES = Instrument(
    "process.unix.file_descriptor.count",
    Kind.GAUGE,
    "{file_descriptor}",
    (),
    "Open files",
)

PROCESS_UPTIME = Instrument(
    "process.uptime",
    Kind.GAUGE,
    "s",
    (),
    "How long the process has run",
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
    QUEUE_JOBS,
    QUEUE_OLDEST_READY,
    QUEUE_WORKERS,
    QUEUE_OPEN_WINDOW,
    QUEUE_PAUSED,
    QUEUE_MAX_WAITING,
    QUEUE_STATISTICS_AGE,
    RPC_DURATION,
    CALLS,
    CALLS_REFUSED,
    CALLS_WAITING,
    CALL_BYTES,
    WORKER_STREAMS,
    LEASES_HELD,
    BATCHES,
    BATCH_ITEMS,
    STATEMENT_DURATION,
    CONNECTIONS,
    CONNECTIONS_WAITING,
    DATABASE_AVAILABLE,
    DATABASE_FAILURES,
    AUDIT_LOST,
    HORIZON_AGE,
    LISTENING,
    HINTS_LAG,
    DUTY_SUCCESS_AGE,
    DUTY_ITEMS,
    DUTY_FAILURES,
    LOOP_LAG,
    CERTIFICATE_REMAINING,
    EMBEDDED_DISK_FREE,
    EMBEDDED_DISK_SIZE,
    EMBEDDED_SIZE,
    EMBEDDED_CONNECTIONS,
    EMBEDDED_RESTARTS,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY,
    PROCESS_FILES,
    PROCESS_UPTIME,
)

#: Of those, what a server says only where there is such a thing: TLS, an embedded PostgreSQL.
SOMETIMES: frozenset[Instrument] = frozenset(
    {
        CERTIFICATE_REMAINING,
        EMBEDDED_DISK_FREE,
        EMBEDDED_DISK_SIZE,
        EMBEDDED_SIZE,
        EMBEDDED_CONNECTIONS,
        EMBEDDED_RESTARTS,
    }
)

WORKER_ATTEMPTS = Instrument(
    "jobsvc.worker.attempts",
    Kind.COUNTER,
    "{attempt}",
    ("queue", "outcome"),
    "Attempts that had begun and ended with this outcome",
)
WORKER_RUN = Instrument(
    "jobsvc.worker.run.duration",
    Kind.HISTOGRAM,
    "s",
    ("queue",),
    "How long processors ran",
    _LONG,
)
WORKER_SLOTS = Instrument(
    "jobsvc.worker.slots",
    Kind.GAUGE,
    "{job}",
    ("state",),
    "Jobs that run (used), and that may run beside them (free)",
)
WORKER_WAITING = Instrument(
    "jobsvc.worker.waiting", Kind.GAUGE, "{job}", (), "Jobs that wait here for a slot"
)
WORKER_LOOP_SILENCE = Instrument(
    "jobsvc.worker.loop.silence",
    Kind.GAUGE,
    "s",
    (),
    "How long the event loop of the processors has been blocked; 0 while it answers",
)
WORKER_UNCONFIRMED = Instrument(
    "jobsvc.worker.outcomes.unconfirmed",
    Kind.GAUGE,
    "{outcome}",
    (),
    "Outcomes that the server has not confirmed",
)
WORKER_RESENT = Instrument(
    "jobsvc.worker.outcomes.resent",
    Kind.COUNTER,
    "{outcome}",
    (),
    "Outcomes that were sent and must be sent again, on another stream or later",
)
WORKER_CONNECTED = Instrument(
    "jobsvc.worker.connected", Kind.GAUGE, "{stream}", (), "1 while the worker has a stream, else 0"
)

#: Metrics of a worker of the SDK.
WORKER_INSTRUMENTS: tuple[Instrument, ...] = (
    WORKER_ATTEMPTS,
    WORKER_RUN,
    WORKER_SLOTS,
    WORKER_WAITING,
    WORKER_LOOP_SILENCE,
    WORKER_UNCONFIRMED,
    WORKER_RESENT,
    WORKER_CONNECTED,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY,
    PROCESS_FILES,
    PROCESS_UPTIME,
)
