"""Job tables: results that count as right."""

import pytest

from bench.measure.job_tables import judge
from bench.measure.sample import WrongResult


def _counts(**other: int) -> dict[str, int]:
    counts = {"jobs": 10, "waiting": 0, "leased": 0, "attempts": 0}
    return counts | {"ended": 10, "completed": 10, "at_first": 10} | other


def test_all_ended_once_is_right() -> None:
    judge(_counts(), 10, 10)


def test_jobs_behind_may_wait() -> None:
    judge(_counts(waiting=6, ended=4, completed=4, at_first=4), 10, 3)


@pytest.mark.parametrize(
    "defect",
    [
        {"jobs": 9},
        {"jobs": 11},
        {"waiting": 1, "ended": 9, "completed": 9, "at_first": 9},
        {"ended": 9, "completed": 9, "at_first": 9},
        {"completed": 9},
        {"at_first": 9},
        {"attempts": 1},
    ],
)
def test_any_other_count_is_wrong(defect: dict[str, int]) -> None:
    with pytest.raises(WrongResult):
        judge(_counts(**defect), 10, 10)
