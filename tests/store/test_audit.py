"""Entries of the audit: written once, read by filters, removed when their retention is over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.audit_entry import AuditEntry, storable
from jobsvc.domain.job_id import new_job_id
from jobsvc.settings import SCHEMA
from jobsvc.store.audit import read_audit
from jobsvc.store.ddl import DatabaseUnsuitable
from jobsvc.store.store import Store
from tests.store.support.plans import nodes, plan

ENTRY = AuditEntry("shop", "ann", "ipv4:192.0.2.1", "CancelJob", "a-job", "OK", "0" * 31 + "1")
_ANY = {"since": None, "until": None, "methods": (), "identity": None, "target": None, "limit": 99}


async def listed(dsn: str, **changed: object) -> list[AuditEntry]:
    """The entries that a filter finds, as they were before they were written."""
    found = await read_audit(dsn, SCHEMA, **(_ANY | changed))  # type: ignore[arg-type]
    assert all(entry.time is not None for entry in found)
    return [replace(entry, time=None) for entry in found]


async def test_entry_is_read_as_it_was_written(dsn: str, store: Store) -> None:
    refused = replace(ENTRY, identity="", user_id="", target="", outcome="JOB_NOT_OWNED", calls=7)
    await store.audit.write([new_job_id(), new_job_id()], [2.0, 1.0], [ENTRY, refused])
    assert await listed(dsn) == [refused, ENTRY]


async def test_entry_that_is_tried_twice_is_there_once(dsn: str, store: Store) -> None:
    ids = [new_job_id()]
    for _ in range(2):
        await store.audit.write(ids, [0.0], [ENTRY])
    assert await listed(dsn) == [ENTRY]


async def test_time_is_that_of_the_call_by_the_clock_of_the_database(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    before = await sql.fetchval("SELECT clock_timestamp()")
    await store.audit.write([new_job_id()], [3600.0], [ENTRY])
    after = await sql.fetchval("SELECT clock_timestamp()")
    (entry,) = await read_audit(dsn, SCHEMA, **_ANY)  # type: ignore[arg-type]
    assert entry.time is not None
    assert before <= entry.time + timedelta(hours=1) <= after


async def test_filters_select(dsn: str, store: Store) -> None:
    entries = [
        ENTRY,
        replace(ENTRY, method="PurgeQueue", target="q"),
        replace(ENTRY, identity="other", method="DeleteJob"),
    ]
    hour = 3600.0
    await store.audit.write([new_job_id() for _ in entries], [3 * hour, 2 * hour, hour], entries)
    cancelled, purged, deleted = entries
    assert await listed(dsn, methods=["CancelJob", "DeleteJob"]) == [deleted, cancelled]
    assert await listed(dsn, identity="shop") == [purged, cancelled]
    assert await listed(dsn, target="q") == [purged]
    assert await listed(dsn, limit=1) == [deleted]
    now = datetime.now(UTC)
    assert await listed(dsn, since=now - timedelta(hours=1.5)) == [deleted]
    assert await listed(dsn, until=now - timedelta(hours=2.5)) == [cancelled]


async def test_oldest_entries_go_first_when_their_retention_is_over(dsn: str, store: Store) -> None:
    entries = [replace(ENTRY, target=str(n)) for n in range(5)]
    ages = [5000.0, 4000.0, 3000.0, 2000.0, 0.0]
    await store.audit.write([new_job_id() for _ in entries], ages, entries)
    assert [await store.audit.prune(3, 1000.0) for _ in range(3)] == [3, 1, 0]
    assert await listed(dsn) == entries[4:]


@pytest.mark.parametrize("name", ["list_audit_entries", "prune_audit_entries"])
async def test_entries_are_read_in_the_order_of_their_time(store: Store, name: str) -> None:
    found = list(nodes(await plan(store, name)))
    assert "audit_entry_time" in [n.get("Index Name") for n in found]
    assert not [n for n in found if n["Node Type"] in ("Sort", "Seq Scan")]


async def test_schema_without_an_audit_is_told(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("DROP TABLE audit_entry")
    with pytest.raises(DatabaseUnsuitable, match="`jobsvc migrate` makes it"):
        await listed(dsn)


def test_target_of_whatever_request_can_be_stored() -> None:
    assert storable("a\0b") == "ab"
    assert len(storable("x" * 10_000)) == 300
