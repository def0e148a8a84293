"""The log names who keeps dead rows in place, once and then once a minute."""

import logging

import pytest

from jobsvc.domain.dead_rows import HorizonHolder
from jobsvc.upkeep.horizon_log import LINE_SECONDS, HorizonLog

DEAD = {"waiting": 52_000}


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def holder(pid: int = 47, seconds: float = 83.0) -> HorizonHolder:
    return HorizonHolder("session", pid, "psql", "bob", "idle in transaction", seconds, "700")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told since the last look."""
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    caplog.clear()
    return told


def test_holder_is_told_once_then_once_a_minute_and_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = HorizonLog(clock)
    log.held(holder(), DEAD)
    (record,) = caplog.records
    assert record.getMessage() == (
        "52000 dead rows of waiting cannot be removed by a vacuum, and slow down claims, while"
        " the transaction of pid 47 (psql, role bob, idle in transaction), 83 s old is there"
    )
    fields = vars(record)
    assert {k: fields[k] for k in ("event", "pid", "holder", "role", "kind")} == {
        "event": "horizon_held",
        "pid": 47,
        "holder": "psql",
        "role": "bob",
        "kind": "session",
    }
    assert (fields["dead_rows"], fields["age_seconds"]) == (52_000, 83.0)
    assert len(lines(caplog)) == 1
    for _ in range(int(LINE_SECONDS) - 1):
        clock.now += 1
        log.held(holder(), DEAD)
    assert lines(caplog) == []
    clock.now += 1
    log.held(holder(), DEAD)
    assert len(lines(caplog)) == 1
    log.over()
    log.over()
    assert lines(caplog) == ["dead rows can be removed again, after 60 s"]


def test_another_holder_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    log = HorizonLog(Clock())
    log.held(holder(47), DEAD)
    log.held(holder(48), DEAD)
    assert ["pid 47" in line for line in lines(caplog)] == [True, False]


def test_short_transaction_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    log = HorizonLog(Clock())
    log.held(holder(seconds=4.9), DEAD)
    log.over()
    assert lines(caplog) == []


def test_holder_that_cannot_be_seen_is_told_when_it_lasts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    log = HorizonLog(clock)
    log.held(None, DEAD)
    clock.now += 4.9
    log.held(None, DEAD)
    assert lines(caplog) == []
    clock.now += 0.1
    log.held(None, DEAD)
    (line,) = lines(caplog)
    assert "while somebody whom this role may not see" in line
    assert "GRANT pg_read_all_stats" in line
