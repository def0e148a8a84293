"""A look at a database and at the work in it, for whatever is wrong. Changes nothing."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from itertools import chain

import asyncpg

from jobsvc.domain import database_checks as database_rules
from jobsvc.domain import settings_checks as settings_rules
from jobsvc.domain import work_checks as work_rules
from jobsvc.domain.database_checks import LockWait, ServerFacts, SlotFacts, TableFacts
from jobsvc.domain.finding import Check, Finding, contradiction, finding
from jobsvc.domain.settings_checks import Retries
from jobsvc.domain.work_checks import Overdue, RecentEnds, Versions
from jobsvc.settings import Settings
from jobsvc.store.database import Database, connection_errors, open_database
from jobsvc.store.database_disk import find_disk
from jobsvc.store.dsn import read_dsn
from jobsvc.store.inconsistencies import find_inconsistencies
from jobsvc.store.pooler import find_pooling, hears
from jobsvc.store.queues import QueueStore
from jobsvc.store.rights import missing_for_serving
from jobsvc.store.schema_description import find_drift
from jobsvc.store.servers import Servers
from jobsvc.store.sessions import Pooling
from jobsvc.store.upkeep import UpkeepStore

_STATEMENT_SECONDS = 30.0
_MAX_QUEUES = 1000
#: Of the sessions of servers for notifications.
_LISTENER = "jobsvc-hints"


async def diagnose(dsn: str, settings: Settings, compare_all: bool = False) -> list[Finding]:
    """Returns what is wrong, or may be, with the database at `dsn` and the work in it. Rows are
    compared only if there are less than a million jobs, or with `compare_all`. With a DSN in the
    settings, a server should be connected.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`: it cannot look.
    """
    schema, target = settings.schema, read_dsn(dsn)
    missing = await missing_for_serving(dsn, schema)
    findings = [finding(Check.NOT_READY, text) for text in missing]
    pooling, has_heard = await _look_between(dsn, schema)
    findings += database_rules.check_pooling(pooling, settings.pooler, has_heard)
    # Behind a pooler servers do not listen, and with a name of the DSN our own sessions have it.
    can_tell = pooling is Pooling.SESSION and target.application_name is None
    # A pooler may share them.
    own = settings.own_connections if settings.dsn and pooling is Pooling.SESSION else 0
    listener = _LISTENER if settings.dsn is not None and can_tell else None
    async with open_database(dsn, 1, _STATEMENT_SECONDS, schema, pooling) as database:
        (row,) = await database.fetch("read_server_facts", listener)
        facts, tables = ServerFacts(**row), await _read_tables(database)
        findings += database_rules.check_server(facts, own)
        findings += [found async for found in _check_database(database, tables)]
        contradicting = [
            *settings_rules.contradictions(settings),
            *settings_rules.database_contradictions(settings, facts),
        ]
        if not missing:
            contradicting += await _contradicting_queues(database, settings)
            findings += [found async for found in _check_work(database)]
        findings += settings_rules.check_contradictions(contradicting)
        if missing:
            return findings
    findings += await find_drift(dsn, schema)
    too_many = [] if compare_all else list(database_rules.check_comparable(tables))
    if not too_many:
        findings += map(contradiction, await find_inconsistencies(dsn, schema))
    return findings + too_many


async def _look_between(dsn: str, schema: str) -> tuple[Pooling, bool]:
    """Returns what is between us and the database, and whether notifications come through."""
    target = read_dsn(dsn)
    with connection_errors(target):
        servers = Servers(target, schema)
        pooling = await find_pooling(servers)
        try:
            return pooling, pooling is Pooling.SESSION and await hears(servers)
        except asyncpg.ReadOnlySQLTransactionError:
            return pooling, True  # A standby, which is told.


async def _contradicting_queues(database: Database, settings: Settings) -> list[str]:
    rows = await database.fetch(
        "find_contradictory_queues",
        settings.initial_backoff_seconds,
        settings.max_backoff_seconds,
        _MAX_QUEUES,
    )
    return list(settings_rules.queue_contradictions([Retries(**row) for row in rows]))


async def _check_database(
    database: Database, tables: Sequence[TableFacts]
) -> AsyncIterator[Finding]:
    for found in database_rules.check_clock(*await _compare_clocks(database)):
        yield found
    upkeep = UpkeepStore(database)
    holder, dirty = await upkeep.horizon_holder(), await upkeep.dirty_tables()
    waits = [
        LockWait(**{**row, "blockers": tuple(row["blockers"])})
        for row in await database.fetch(
            "find_lock_waits", database.schema, database_rules.LOCKED_SECONDS
        )
    ]
    slots = [SlotFacts(**row) for row in await database.fetch("read_slots")]
    for found in chain(
        database_rules.check_horizon(holder, dirty),
        database_rules.check_tables(tables),
        database_rules.check_locks(waits),
        database_rules.check_slots(slots),
        await _check_disk(database),
    ):
        yield found


async def _check_disk(database: Database) -> Sequence[Finding]:
    (row,) = await database.fetch("find_backend")
    disk = find_disk(row["pid"]) if row["is_local"] else None
    return [] if disk is None else list(database_rules.check_disk(*disk))


async def _check_work(database: Database) -> AsyncIterator[Finding]:
    queues = await QueueStore(database, 0).count(None)
    (overdue,) = await database.fetch(
        "count_overdue",
        work_rules.OVERDUE_SECONDS,
        work_rules.PURGE_OVERDUE_SECONDS,
        work_rules.MAX_OVERDUE,
    )
    ends = await database.fetch("count_ends", work_rules.MAX_ENDS, work_rules.ENDS_SECONDS)
    versions = [
        Versions(row["queue"], tuple(row["versions"]), row["seconds"])
        for row in await database.fetch("find_versions")
    ]
    for found in chain(
        work_rules.check_queues(queues),
        work_rules.check_versions(versions),
        work_rules.check_overdue(Overdue(**overdue)),
        work_rules.check_ends([RecentEnds(**row) for row in ends]),
    ):
        yield found


async def _read_tables(database: Database) -> list[TableFacts]:
    rows = await database.fetch("read_table_facts", database.schema)
    return [TableFacts(**row) for row in rows]


async def _compare_clocks(database: Database) -> tuple[float, float]:
    """Returns how far our clock is ahead of the database's, give or take, in seconds."""
    began, tick = datetime.now(UTC), time.monotonic()
    now = await UpkeepStore(database).clock()
    half_seconds = (time.monotonic() - tick) / 2
    return (began - now).total_seconds() + half_seconds, half_seconds
