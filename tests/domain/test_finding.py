"""Findings as lines, and as answers to the questions."""

from jobsvc.domain.finding import (
    Check,
    Question,
    answers,
    contradiction,
    finding,
    finding_of,
    is_wrong,
)
from jobsvc.domain.inconsistency import Inconsistency, Kind


def test_first_names_are_told_and_the_number_of_all() -> None:
    found = finding_of(Check.LOCKED, "{n} wait", [f"pid {n}" for n in range(7)])
    assert found.number == 7
    assert found.names == ("pid 0", "pid 1", "pid 2", "pid 3", "pid 4")
    assert found.text == "7 wait (pid 0; pid 1; pid 2; pid 3; pid 4; and 2 more)"
    assert finding_of(Check.LOCKED, "{n} wait", ["{n}"]).text == "1 wait ({n})"


def test_each_question_is_answered() -> None:
    assert set(answers([]).values()) == {"yes"}
    lost = contradiction(Inconsistency(Kind.JOB_NOWHERE, 1, ("a",)))
    slow = finding(Check.QUEUE_BEHIND, "late")
    assert answers([lost, slow]) == {
        Question.FLOWING: "yes, but see the warnings",
        Question.SUCCEEDING: "yes",
        Question.TRUSTED: "no",
    }
    assert answers([finding(Check.READ_ONLY, ""), slow])[Question.FLOWING] == "no"


def test_warnings_alone_are_not_wrong() -> None:
    assert not is_wrong([finding(Check.QUEUE_BEHIND, "late")])
    assert is_wrong([finding(Check.QUEUE_BEHIND, "late"), finding(Check.READ_ONLY, "")])
