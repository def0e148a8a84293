"""The lines about a failing database: one at the beginning, one a minute, one at the end."""

from jobsvc.store.troubles import DATABASE, WRITES, Troubles


def test_database_that_is_away_has_three_kinds_of_lines() -> None:
    troubles = Troubles()
    lines = [troubles.failed(DATABASE, "gone", now / 10) for now in range(1300)]
    assert [line for line in lines if line] == [
        "the database fails: gone",
        "the database still fails, 601 times in 60 s: gone",
        "the database still fails, 1201 times in 120 s: gone",
    ]
    assert troubles.worked("read_clock", False, 130.0) == [
        "the database works again, after 130.0 s and 1300 failures"
    ]
    assert not troubles
    assert troubles.worked("read_clock", False, 131.0) == []


def test_database_that_comes_and_goes_is_told_once_a_minute() -> None:
    troubles = Troubles()
    said = []
    for second in range(120):
        said.append(troubles.failed(DATABASE, "too many", float(second)))
        said += troubles.worked("read_clock", False, second + 0.5)
    assert [line for line in said if line] == [
        "the database fails: too many",
        "the database works again, after 0.5 s and 1 failures",
    ] * 2


def test_outage_soon_after_another_is_told_once_it_lasts() -> None:
    troubles = Troubles()
    assert troubles.failed(DATABASE, "gone", 0.0)
    assert troubles.worked("a", False, 1.0)
    lines = [troubles.failed(DATABASE, "gone", 10.0 + now) for now in range(8)]
    assert [line is not None for line in lines] == [False] * 5 + [True, False, False]
    assert troubles.worked("a", False, 20.0)


def test_database_is_away_when_nothing_worked_for_a_second() -> None:
    troubles = Troubles()
    troubles.failed(DATABASE, "gone", 0.0)
    troubles.failed(DATABASE, "gone", 0.9)
    assert troubles
    assert not troubles.is_away
    troubles.failed(DATABASE, "gone", 1.0)
    assert troubles.is_away
    troubles.worked("read_clock", False, 1.1)
    assert not troubles.is_away


def test_each_statement_has_its_own_trouble() -> None:
    troubles = Troubles()
    assert troubles.failed("vacuum_lease", "no right", 0.0) == "vacuum_lease fails: no right"
    assert troubles.failed("prune_jobs", "no right", 0.0) == "prune_jobs fails: no right"
    assert troubles.failed("vacuum_lease", "no right", 1.0) is None
    assert not troubles.is_away
    assert troubles.worked("read_clock", False, 2.0) == []
    (line,) = troubles.worked("prune_jobs", True, 3.0)
    assert line.startswith("prune_jobs works again")
    assert troubles


def test_writing_works_when_a_statement_that_writes_does() -> None:
    troubles = Troubles()
    troubles.failed(WRITES, "read-only", 0.0)
    assert troubles.worked("read_clock", False, 1.0) == []
    (line,) = troubles.worked("expire_jobs", True, 2.0)
    assert line.startswith("writing works again")


def test_statement_that_nobody_repeats_is_forgotten() -> None:
    troubles = Troubles()
    troubles.failed("update_queue", "locked", 0.0)
    troubles.worked("read_clock", False, 299.0)
    assert troubles
    troubles.worked("read_clock", False, 300.0)
    assert not troubles
