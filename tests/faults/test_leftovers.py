"""K8 finds what a run leaves behind."""

import asyncpg
import pytest

from tests.faults.support.leftovers import Footprint, leftovers, take_footprint

BEFORE = Footprint({"server 0": 40}, {"server 0": 100 << 20}, 12, 0)


def test_footprint_of_before_is_no_leftover() -> None:
    assert list(leftovers(BEFORE, BEFORE, most_sessions=20)) == []


@pytest.mark.parametrize(
    ("after", "what"),
    [
        (Footprint({"server 0": 90}, {"server 0": 100 << 20}, 12, 0), "open files"),
        (Footprint({"server 0": 40}, {"server 0": 400 << 20}, 12, 0), "MiB"),
        (Footprint({"server 0": 40}, {"server 0": 100 << 20}, 21, 0), "sessions are open"),
        (Footprint({"server 0": 40}, {"server 0": 100 << 20}, 12, 1), "idle in a transaction"),
    ],
)
def test_what_is_left_is_named(after: Footprint, what: str) -> None:
    (found,) = leftovers(BEFORE, after, most_sessions=20)
    assert found.startswith("K8 ")
    assert what in found


async def test_session_that_is_idle_in_a_transaction_is_seen(
    dsn: str, sql: asyncpg.Connection
) -> None:
    assert (await take_footprint([], dsn)).idle_in_transaction == 0
    async with sql.transaction():
        await sql.execute("SELECT 1")
        assert (await take_footprint([], dsn)).idle_in_transaction == 1
