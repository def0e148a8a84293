"""What a database's figures mean: each limit, from both sides."""

from dataclasses import replace

import pytest

from jobsvc.domain.database_checks import (
    LockWait,
    ServerFacts,
    SlotFacts,
    TableFacts,
    check_clock,
    check_comparable,
    check_disk,
    check_horizon,
    check_locks,
    check_pooling,
    check_server,
    check_slots,
    check_tables,
)
from jobsvc.domain.dead_rows import DirtyTable, HorizonHolder
from jobsvc.domain.finding import Check

FIT = ServerFacts(
    is_standby=False,
    is_read_only=False,
    fsync=True,
    full_page_writes=True,
    synchronous_commit="on",
    autovacuum=True,
    track_counts=True,
    transaction_ids=150_000_000,
    notifications=0.01,
    connections=90,
    max_connections=100,
    servers=None,
)
MIB = 1 << 20


def table(name: str, size: int = 0, live: int = 0, dead: int = 0, **other: object) -> TableFacts:
    fit = TableFacts(name, None, size, live, dead, 1000.0, autovacuum_off=False)
    return replace(fit, **other)  # type: ignore[arg-type]  # as the caller has them


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"servers": 0}, Check.NO_SERVER),
        ({"is_standby": True}, Check.READ_ONLY),
        ({"is_read_only": True}, Check.READ_ONLY),
        ({"fsync": False}, Check.NOT_DURABLE),
        ({"full_page_writes": False}, Check.NOT_DURABLE),
        ({"synchronous_commit": "off"}, Check.COMMIT_NOT_AWAITED),
        ({"autovacuum": False}, Check.AUTOVACUUM_OFF),
        ({"track_counts": False}, Check.COUNTS_OFF),
        ({"transaction_ids": 1_000_000_001}, Check.TRANSACTION_IDS),
        ({"notifications": 0.51}, Check.NOTIFICATIONS_FULL),
        ({"connections": 91}, Check.CONNECTIONS_SCARCE),
    ],
)
def test_server_that_is_not_fit_is_told_by_its_name(
    changes: dict[str, object], check: Check
) -> None:
    assert list(check_server(FIT)) == list(check_server(replace(FIT, servers=1))) == []
    unfit = replace(FIT, **changes)  # type: ignore[arg-type]  # as the cases have them
    assert [found.kind for found in check_server(unfit)] == [check]


def test_processes_that_need_more_connections_than_there_are_are_told() -> None:
    assert list(check_server(FIT, 100)) == []
    (found,) = check_server(replace(FIT, connections=95), 101)
    assert found.kind is Check.CONNECTIONS_SCARCE
    assert found.text.startswith("a server takes 101 connections")


@pytest.mark.parametrize("commit", ["on", "local", "remote_write", "remote_apply"])
def test_commit_that_waits_is_fit(commit: str) -> None:
    assert list(check_server(replace(FIT, synchronous_commit=commit))) == []


@pytest.mark.parametrize(
    ("pooling", "configured", "hears", "checks"),
    [
        ("session", None, True, []),
        ("session", "session", True, []),
        ("session", "transaction", True, []),
        ("session", None, False, [Check.NOTIFICATIONS_UNHEARD]),
        ("transaction", None, False, [Check.POOLER]),
        ("transaction-prepared", "transaction-prepared", False, [Check.POOLER]),
        ("transaction-prepared", "transaction", False, [Check.POOLER]),
        ("transaction", "transaction-prepared", False, [Check.POOLER_SETTING, Check.POOLER]),
        ("transaction", "session", False, [Check.POOLER_SETTING, Check.POOLER]),
    ],
)
def test_setting_of_the_pooler_must_not_ask_for_more_than_it_keeps(
    pooling: str, configured: str | None, hears: bool, checks: list[Check]
) -> None:
    assert [found.kind for found in check_pooling(pooling, configured, hears)] == checks


@pytest.mark.parametrize(
    ("seconds", "uncertain", "words"),
    [
        (1.9, 0.0, None),
        (2.1, 0.0, "2.1 s ahead of the database's"),
        (-2.1, 0.0, "2.1 s behind the database's"),
        (3.0, 1.5, None),  # the answer was slow
    ],
)
def test_clocks_that_differ_are_told(seconds: float, uncertain: float, words: str | None) -> None:
    found = list(check_clock(seconds, uncertain))
    assert [words in one.text for one in found if words] == ([True] if words else [])
    assert len(found) == (words is not None)


SESSION = HorizonHolder("session", 7, "report", "reports", "idle in transaction", 299.0, "1")
DIRTY = [DirtyTable("lease", 25_000, may_vacuum=True)]


@pytest.mark.parametrize(
    ("holder", "dirty", "cure"),
    [
        (None, DIRTY, None),
        (SESSION, [], None),
        (SESSION._replace(seconds=300.0), [], "pg_terminate_backend(7)"),
        (SESSION._replace(seconds=1.9), DIRTY, None),
        (SESSION._replace(seconds=2.0), DIRTY, "pg_terminate_backend(7)"),
        (HorizonHolder("standby", 8, "walreceiver", None, None, None, "1"), [], None),
        (
            HorizonHolder("standby", 8, "walreceiver", None, None, None, "1"),
            DIRTY,
            "hot_standby_feedback",
        ),
        (
            HorizonHolder("prepared", None, "tx-1", "r", None, 4000.0, "1"),
            [],
            "ROLLBACK PREPARED 'tx-1'",
        ),
        (
            HorizonHolder("slot", None, "left", None, "physical", None, "1"),
            DIRTY,
            "pg_drop_replication_slot('left')",
        ),
    ],
)
def test_whoever_keeps_dead_rows_for_long_is_told_with_the_cure(
    holder: HorizonHolder | None, dirty: list[DirtyTable], cure: str | None
) -> None:
    found = list(check_horizon(holder, dirty))
    assert len(found) == (cure is not None)
    assert all(cure in one.text for one in found if cure)


@pytest.mark.parametrize(
    ("facts", "check"),
    [
        (table("job", 900 * MIB, live=10), None),  # jobs have payloads
        (table("lease", 63 * MIB, live=10), None),
        (table("lease", 65 * MIB, live=10), Check.BLOATED),
        (table("lease", 65 * MIB, live=100_000), None),
        (table("waiting_order", 65 * MIB, live=10, index_of="waiting"), Check.BLOATED),
        (table("job", dead=21_000), Check.VACUUM_BEHIND),
        (table("job", dead=21_000, vacuum_seconds=None), Check.VACUUM_BEHIND),
        (table("job", dead=21_000, vacuum_seconds=299.0), None),
        (table("job", dead=21_000, live=100_000), None),
        (table("job", autovacuum_off=True), Check.AUTOVACUUM_OFF),
    ],
)
def test_table_that_needs_care_is_told(facts: TableFacts, check: Check | None) -> None:
    found = list(check_tables([facts]))
    assert [one.kind for one in found] == ([] if check is None else [check])
    assert all(one.names[0].startswith(facts.name) for one in found)


@pytest.mark.parametrize(("jobs", "too_many"), [(1_000_000, False), (1_000_001, True)])
def test_rows_of_many_jobs_are_compared_on_demand(jobs: int, too_many: bool) -> None:
    found = [one.kind for one in check_comparable([table("job", live=jobs), table("lease")])]
    assert found == ([Check.ROWS_NOT_COMPARED] if too_many else [])


def test_lock_is_told_with_who_waits_and_who_has_it() -> None:
    assert list(check_locks([])) == []
    (found,) = check_locks([LockWait(7, "job", 61.0, (3, 4)), LockWait(8, "job", 60.0, ())])
    assert found.names == (
        "pid 7 for 61 s on job, behind 3, 4",
        "pid 8 for 60 s on job, behind nobody any more",
    )


def test_slot_is_told_once_it_keeps_much() -> None:
    slots = [SlotFacts("a", active=False, bytes=10 << 30), SlotFacts("b", True, (10 << 30) - 1)]
    (found,) = check_slots(slots)
    assert found.names == ("a: 10 GiB, not in use",)


@pytest.mark.parametrize(
    ("free", "size", "is_told"),
    [
        (5 << 20, 100 << 20, False),
        ((5 << 20) - 1, 100 << 20, True),
        (1 << 30, 1 << 40, False),
        ((1 << 30) - 1, 1 << 40, True),
    ],
)
def test_disk_is_told_once_it_is_nearly_full(free: int, size: int, is_told: bool) -> None:
    found = list(check_disk("/data", free, size))
    assert [one.kind for one in found] == [Check.DISK_LOW] * is_told
    assert all(f"/data has {free >> 20:,} MiB left" in one.text for one in found)
