"""When a table is vacuumed again, and how whoever makes that useless is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.dead_rows import (
    INTERVAL_SECONDS,
    MAX_WAIT_SECONDS,
    HorizonHolder,
    VacuumPace,
)

DEAD = 50_000


def futile(count: int, horizon: str | None = "700") -> VacuumPace:
    """The pace after so many vacuums at the time 0 that removed nothing."""
    pace = VacuumPace()
    for _ in range(count):
        pace.vacuumed(DEAD, DEAD, horizon, 0.0)
    return pace


def test_table_that_was_never_vacuumed_is_due() -> None:
    assert VacuumPace().is_due(None, 0.0)


def test_table_is_vacuumed_once_a_second_at_most() -> None:
    pace = VacuumPace()
    pace.vacuumed(DEAD, 0, None, 0.0)
    assert not pace.is_due(None, 0.99)
    assert not pace.is_due("another", 0.99)
    assert pace.is_due(None, 1.0)


@pytest.mark.parametrize(("count", "wait"), [(1, 2.0), (2, 4.0), (4, 16.0), (5, 30.0), (99, 30.0)])
@pytest.mark.parametrize("horizon", ["700", None])
def test_vacuums_that_remove_little_become_rare(
    count: int, wait: float, horizon: str | None
) -> None:
    pace = futile(count, horizon)
    assert not pace.is_due(horizon, wait - 0.01)
    assert pace.is_due(horizon, wait)


def test_horizon_that_moves_makes_a_vacuum_worth_it_again() -> None:
    assert futile(10).is_due("701", INTERVAL_SECONDS)
    assert futile(10).is_due(None, INTERVAL_SECONDS)


def test_vacuum_that_removes_half_ends_the_waiting() -> None:
    pace = futile(10)
    pace.vacuumed(DEAD, DEAD // 2, "700", 100.0)
    assert not pace.is_futile
    assert pace.is_due("700", 101.0)


@given(
    st.lists(
        st.tuples(st.floats(0.001, 5.0), st.integers(0, DEAD), st.sampled_from([None, "1", "2"])),
        max_size=100,
    )
)
def test_no_two_vacuums_are_closer_than_a_second_nor_further_apart_than_the_bound(
    looks: list[tuple[float, int, str | None]],
) -> None:
    pace, now, last = VacuumPace(), 0.0, None
    for seconds, dead_after, horizon in looks:
        now += seconds
        due = pace.is_due(horizon, now)
        if last is not None:
            assert not due or now - last >= INTERVAL_SECONDS
            assert due or now - last < MAX_WAIT_SECONDS
        if due:
            last = now
            pace.vacuumed(DEAD, dead_after, horizon, now)


@pytest.mark.parametrize(
    ("holder", "words"),
    [
        (
            HorizonHolder("session", 47, "psql", "bob", "idle in transaction", 83.4, "7"),
            "the transaction of pid 47 (psql, role bob, idle in transaction), 83 s old",
        ),
        (
            HorizonHolder("session", 47, "", "bob", "active", 83.4, "7"),
            "the transaction of pid 47 (no application name, role bob, active), 83 s old",
        ),
        (
            HorizonHolder("standby", 48, "replica1", "rep", "active", None, "7"),
            "the standby replica1 by its feedback (pid 48)",
        ),
        (
            HorizonHolder("prepared", None, "tx-1", "bob", None, 9.0, "7"),
            "the prepared transaction tx-1 (role bob), 9 s old",
        ),
        (
            HorizonHolder("slot", None, "old_standby", None, "physical", None, "7"),
            "the physical replication slot old_standby",
        ),
    ],
)
def test_holder_is_described(holder: HorizonHolder, words: str) -> None:
    assert holder.describe() == words
