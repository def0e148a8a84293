"""What runs in the background expects whatever a database may answer, and no defect of ours."""

import asyncio

import pytest

from jobsvc.domain.errors import DatabaseUnavailable, NotStorable, Violation
from jobsvc.store.repeat import repeat, wait_seconds


async def test_loop_survives_the_database_and_ends_by_a_defect() -> None:
    answers: list[Exception | int | None] = [
        DatabaseUnavailable("away"),
        DatabaseUnavailable("refused", is_refusal=True),
        NotStorable([Violation("request", "x")]),
        3,
        None,
        KeyError("a defect"),
    ]

    async def run_once() -> int | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(KeyError):
        await asyncio.wait_for(repeat(0.001, run_once), 5)
    assert not answers


def test_refusals_make_the_waits_longer_up_to_a_bound() -> None:
    assert [wait_seconds(1.0, n) for n in (0, 1, 2, 3, 100)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert [wait_seconds(10.0, n) for n in (0, 1, 100)] == [10.0] * 3
