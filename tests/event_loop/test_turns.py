"""Long pieces of work take turns: one in a pass of the loop, whoever else runs."""

import asyncio
from collections.abc import Generator
from itertools import pairwise

import pytest

from jobsvc.event_loop.time_slice import in_slices
from jobsvc.event_loop.turns import turn


async def _passes(count: int) -> list[list[int]]:
    """Which of so many tasks ran in each pass of the loop, while each took three turns."""
    ran: list[list[int]] = []

    async def work(number: int) -> None:
        for _ in range(3):
            await turn()
            ran[-1].append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(count)]
    while not all(task.done() for task in tasks):
        ran.append([])
        await asyncio.sleep(0)
    return ran


async def test_one_runs_in_a_pass_and_all_get_as_many_turns() -> None:
    ran = await _passes(5)
    assert max(map(len, ran)) == 1
    assert [number for some in ran for number in some] == [0, 1, 2, 3, 4] * 3


async def test_everyone_else_has_passes_between_two_pieces() -> None:
    ran = await _passes(3)
    at = [index for index, some in enumerate(ran) if some]
    assert min(after - before for before, after in pairwise(at)) > 8


async def test_first_turn_of_a_quiet_loop_comes_at_once() -> None:
    for _ in range(20):
        await asyncio.sleep(0)  # Passes, so that turns of others are over.
    ran = await _passes(1)
    assert [bool(some) for some in ran].index(True) < 3


async def test_one_that_gives_up_holds_up_nobody() -> None:
    waiting = [asyncio.create_task(turn()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 1)


async def test_steps_are_taken_to_their_end() -> None:
    def steps() -> Generator[None, None, str]:
        for _ in range(3):
            yield
        return "done"

    assert await in_slices(steps()) == "done"


async def test_error_of_a_step_is_raised() -> None:
    def steps() -> Generator[None, None, None]:
        yield
        raise KeyError("x")

    with pytest.raises(KeyError):
        await in_slices(steps())
