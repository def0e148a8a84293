"""Whether a database is fit for jobs, by its settings and its own figures. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from jobsvc.domain.dead_rows import DirtyTable, HorizonHolder
from jobsvc.domain.finding import Check, Finding, finding, finding_of

#: A statement, a dump of a small table: nobody's trouble.
_HORIZON_SECONDS = 300.0
#: Where tables have many dead rows, only statements are excused.
_DIRTY_HORIZON_SECONDS = 2.0
#: Deadlines that people give are seldom finer.
_CLOCK_SECONDS = 2.0
_SCARCE_SHARE = 0.9
#: Autovacuum freezes from 200 million on (autovacuum_freeze_max_age); writes end at 2,100 million.
_MAX_TRANSACTION_IDS = 1_000_000_000
_FULL_SHARE = 0.5
#: A wait for a lock on a whole table.
LOCKED_SECONDS = 10.0
_WAL_BYTES = 10 << 30
#: Of a small disk a share, of a large one no more than this.
_DISK_SHARE = 0.05
_DISK_BYTES = 1 << 30
_DEAD_ROWS = 20_000
_DEAD_SHARE = 0.2
_VACUUM_SECONDS = 300.0
#: Tables that jobs pass through, which are small when all is well.
_PASSED = ("waiting", "lease", "held_key")
_ROW_BYTES = 250
_BLOAT_BYTES = 64 << 20
_BLOAT_FACTOR = 10
#: Rows of more jobs are compared on demand only.
_MAX_COMPARED = 1_000_000


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server, and a session of the role that serves, have."""

    is_standby: bool
    is_read_only: bool
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    autovacuum: bool
    track_counts: bool
    #: Age of the oldest transaction id in the database.
    transaction_ids: int
    #: How full the queue of notifications is, from 0 to 1.
    notifications: float
    connections: int
    #: Without those that are kept for superusers.
    max_connections: int
    #: Servers that listen; None if that is not known.
    servers: int | None
    #: Of the role; 0 for none.
    idle_session_timeout: timedelta = timedelta(0)
    transaction_timeout: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table, or an index of it."""

    name: str
    #: The table of an index.
    index_of: str | None
    bytes: int
    live_rows: int
    dead_rows: int
    #: Since the last vacuum; None if there was none.
    vacuum_seconds: float | None
    autovacuum_off: bool


@dataclass(frozen=True, slots=True)
class LockWait:
    """A session that waits for a lock on one of our tables."""

    pid: int
    table: str
    seconds: float
    blockers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """A replication slot, and how much WAL it keeps."""

    name: str
    active: bool
    bytes: int


def check_server(facts: ServerFacts, own_connections: int = 0) -> Iterator[Finding]:
    """Settings of the server, and limits that it comes near. `own_connections` is how many all
    processes of one server take."""
    if facts.servers == 0:
        yield finding(
            Check.NO_SERVER,
            "no server is connected to this database: start one (`jobsvc serve`), or look into its"
            " log for where it connects to",
        )
    if facts.is_standby or facts.is_read_only:
        what = "is a standby" if facts.is_standby else "has default_transaction_read_only"
        yield finding(
            Check.READ_ONLY,
            f"the database takes no writes, as it {what}: JOBSVC_DSN must lead to the primary"
            " (target_session_attrs=read-write), or the setting must go",
        )
    settings = (("fsync", facts.fsync), ("full_page_writes", facts.full_page_writes))
    if off := [name for name, is_on in settings if not is_on]:
        yield finding(
            Check.NOT_DURABLE,
            f"{' and '.join(off)} off: a crash of the machine loses or damages what was confirmed;"
            f" ALTER SYSTEM SET {off[0]} = on",
        )
    if facts.synchronous_commit == "off":
        yield finding(
            Check.COMMIT_NOT_AWAITED,
            "synchronous_commit is off: a crash of PostgreSQL loses what was confirmed in the last"
            " moments; ALTER ROLE … SET synchronous_commit = on, unless that is meant",
        )
    if not facts.autovacuum:
        yield finding(
            Check.AUTOVACUUM_OFF,
            "autovacuum is off: tables and indexes grow, claims get slower, and the database ends"
            " taking writes; ALTER SYSTEM SET autovacuum = on",
        )
    if not facts.track_counts:
        yield finding(
            Check.COUNTS_OFF,
            "track_counts is off: nobody knows of dead rows, nor does autovacuum; ALTER SYSTEM SET"
            " track_counts = on",
        )
    if facts.transaction_ids > _MAX_TRANSACTION_IDS:
        yield finding(
            Check.TRANSACTION_IDS,
            f"{facts.transaction_ids:,} transaction ids are in use, and the database takes no"
            " writes at 2,100 million: end what holds the horizon, and VACUUM (FREEZE) all tables"
            " of the database",
        )
    if facts.notifications > _FULL_SHARE:
        yield finding(
            Check.NOTIFICATIONS_FULL,
            f"the queue of notifications is full to {facts.notifications:.0%}, and at 100% nothing"
            " commits: a session that listens has been in a transaction for long;"
            " pg_terminate_backend ends it",
        )
    if own_connections > facts.max_connections:
        yield finding(
            Check.CONNECTIONS_SCARCE,
            f"a server takes {own_connections} connections, JOBSVC_POOL_SIZE and two more for each"
            f" of JOBSVC_PROCESSES, and there are {facts.max_connections}: raise max_connections,"
            " or lower one of them",
        )
    elif facts.connections > _SCARCE_SHARE * facts.max_connections:
        yield finding(
            Check.CONNECTIONS_SCARCE,
            f"{facts.connections} of {facts.max_connections} connections are in use: a replica"
            " takes JOBSVC_POOL_SIZE and two more; raise max_connections, or use a pooler",
        )


def check_pooling(pooling: str, configured: str | None, hears: bool) -> Iterator[Finding]:
    """What is between us and the database: `pooling` is what it keeps from one transaction to the
    next (a value of JOBSVC_POOLER), as found out, and `configured` as set, if so. `hears` is
    whether a notification came through."""
    keeps = ("transaction", "transaction-prepared", "session")
    if configured is not None and keeps.index(configured) > keeps.index(pooling):
        yield finding(
            Check.POOLER_SETTING,
            f"JOBSVC_POOLER is {configured}, and the pooler keeps less ({pooling}): unset it",
        )
    if pooling != "session":
        yield finding(
            Check.POOLER,
            "a pooler lends a session for each transaction: what happens on other replicas is seen"
            " up to a second later; a port of the database itself, or a pool by session, would do"
            " without (docs/operations/poolers.md)",
        )
    elif not hears:
        yield finding(
            Check.NOTIFICATIONS_UNHEARD,
            "LISTEN hears nothing of what another session notifies: jobs begin up to a second"
            " late; look at what is between here and the database (docs/operations/poolers.md)",
        )


def check_clock(seconds: float, uncertain_seconds: float) -> Iterator[Finding]:
    """How far this machine's clock is ahead of the database's, give or take."""
    if abs(seconds) - uncertain_seconds > _CLOCK_SECONDS:
        way = "ahead of" if seconds > 0 else "behind"
        yield finding(
            Check.CLOCK_DIFFERS,
            f"the clock of this machine is {abs(seconds):.1f} s {way} the database's, which all"
            " times of jobs are of: ages that are worked out here are off; set up NTP on both",
        )


def check_horizon(holder: HorizonHolder | None, dirty: Sequence[DirtyTable]) -> Iterator[Finding]:
    """Who keeps dead rows in place, once it is old or tables have many of them."""
    if holder is None:
        return
    least = _DIRTY_HORIZON_SECONDS if dirty else _HORIZON_SECONDS
    is_young = not dirty if holder.seconds is None else holder.seconds < least
    if is_young:
        return
    cure = {
        "session": f"SELECT pg_terminate_backend({holder.pid}) ends it",
        "standby": "end the old query on the standby, or its hot_standby_feedback",
        "prepared": f"ROLLBACK PREPARED '{holder.name}' ends it, or COMMIT PREPARED",
    }.get(holder.kind, f"SELECT pg_drop_replication_slot('{holder.name}') if nobody needs it")
    yield finding(
        Check.HORIZON_HELD,
        f"{holder.describe()}, keeps dead rows from being removed, which slows down claims: {cure}",
    )


def check_tables(tables: Sequence[TableFacts]) -> Iterator[Finding]:
    """Vacuum and size of our tables."""
    if off := [t.name for t in tables if t.autovacuum_off]:
        yield finding_of(
            Check.AUTOVACUUM_OFF,
            "autovacuum is off for {n} of the tables: ALTER TABLE … RESET (autovacuum_enabled)",
            off,
        )
    behind = [t for t in tables if _is_behind(t)]
    if behind:
        yield finding_of(
            Check.VACUUM_BEHIND,
            "dead rows have piled up in {n} of the tables: VACUUM them, and look whether"
            " autovacuum keeps up (autovacuum_max_workers, autovacuum_vacuum_cost_limit)",
            [f"{t.name}: {t.dead_rows:,} dead, {t.live_rows:,} live" for t in behind],
        )
    if bloated := [t for t in tables if _is_bloated(t)]:
        yield finding_of(
            Check.BLOATED,
            "{n} of the tables and indexes that jobs pass through are far larger than their rows:"
            " REINDEX INDEX CONCURRENTLY for an index; for a table VACUUM FULL, which locks it,"
            " with the servers stopped",
            [f"{t.name}: {t.bytes >> 20:,} MiB for {t.live_rows:,} rows" for t in bloated],
        )


def check_comparable(tables: Sequence[TableFacts]) -> Iterator[Finding]:
    """Whether there are too many jobs to compare all rows."""
    jobs = next((t.live_rows for t in tables if t.name == "job"), 0)
    if jobs > _MAX_COMPARED:
        yield finding(
            Check.ROWS_NOT_COMPARED,
            f"rows were not compared, as there are about {jobs:,} jobs: `jobsvc doctor --rows`"
            " reads them all, at a quiet time",
        )


def check_locks(waits: Sequence[LockWait]) -> Iterator[Finding]:
    """Sessions that wait for a lock on a whole table."""
    if waits:
        yield finding_of(
            Check.LOCKED,
            "{n} sessions wait for a lock on our tables: end what holds it"
            " (SELECT pg_terminate_backend(PID))",
            [
                f"pid {w.pid} for {w.seconds:.0f} s on {w.table},"
                f" behind {', '.join(map(str, w.blockers)) or 'nobody any more'}"
                for w in waits
            ],
        )


def check_slots(slots: Sequence[SlotFacts]) -> Iterator[Finding]:
    """Replication slots that fill the disk."""
    if large := [s for s in slots if s.bytes >= _WAL_BYTES]:
        yield finding_of(
            Check.WAL_KEPT,
            "{n} of the replication slots keep WAL until the disk is full: let their readers catch"
            " up, or SELECT pg_drop_replication_slot('NAME')",
            [f"{s.name}: {s.bytes >> 30:,} GiB, {'' if s.active else 'not '}in use" for s in large],
        )


def check_disk(folder: str, free_bytes: int, size_bytes: int) -> Iterator[Finding]:
    """Room on the disk of the database."""
    if free_bytes < min(_DISK_BYTES, _DISK_SHARE * size_bytes):
        yield finding(
            Check.DISK_LOW,
            f"the disk of {folder} has {free_bytes >> 20:,} MiB left, and the database stops when"
            " it is full: make room, or shorten retentions",
        )


def _is_behind(table: TableFacts) -> bool:
    is_old = table.vacuum_seconds is None or table.vacuum_seconds >= _VACUUM_SECONDS
    many = table.dead_rows > _DEAD_ROWS + _DEAD_SHARE * table.live_rows
    return table.index_of is None and many and is_old


def _is_bloated(table: TableFacts) -> bool:
    is_passed = (table.index_of or table.name) in _PASSED
    expected = _BLOAT_FACTOR * _ROW_BYTES * table.live_rows
    return is_passed and table.bytes > max(_BLOAT_BYTES, expected)
