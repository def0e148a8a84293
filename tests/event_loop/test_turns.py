"""Long pieces of work take turns: one in a pass of the loop, whoever else runs."""

import asyncio
from collections.abc import Generator
from itertools import pairwise

import pytest

from jobsvc.event_loop.short_calls import MOST_HELD_SECONDS
from jobsvc.event_loop.time_slice import in_slices
from jobsvc.event_loop.turns import line, turn, turn_caller


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


async def _pieces(caller: str, count: int, order: list[str]) -> None:
    turn_caller.set(caller)

    async def piece() -> None:
        await turn()
        order.append(caller)

    await asyncio.gather(*(piece() for _ in range(count)))


async def test_callers_take_turns_whatever_each_has_to_do() -> None:
    order: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_pieces("much", 9, order))
        tasks.create_task(_pieces("little", 2, order))
    assert order.index("little") < 3
    assert order[:5].count("little") == 2
    assert len(order) == 11


async def test_long_work_waits_for_a_short_call_and_goes_on_when_that_ends() -> None:
    call = asyncio.create_task(asyncio.Event().wait())
    line().enter_short(call)
    await turn()  # The first piece has waited for nothing.
    work = asyncio.create_task(turn())
    await asyncio.sleep(0.2 * MOST_HELD_SECONDS)  # the line is held by then
    assert not work.done()
    line().leave_short(call)
    for _ in range(3):
        await asyncio.sleep(0)  # passes
    assert work.done()
    call.cancel()


async def test_short_call_that_does_not_end_holds_up_long_work_for_a_moment_only() -> None:
    call = asyncio.create_task(asyncio.Event().wait())
    line().enter_short(call)
    await turn()
    await asyncio.wait_for(turn(), 5)
    line().leave_short(call)
    call.cancel()


async def test_a_call_that_takes_a_turn_is_not_short_any_more() -> None:
    async def call() -> None:
        task = asyncio.current_task()
        assert task is not None
        line().enter_short(task)
        await turn()
        await asyncio.Event().wait()

    running = asyncio.create_task(call())
    await turn()
    work = asyncio.create_task(turn())
    for _ in range(30):
        await asyncio.sleep(0)  # passes, so many as lie between two pieces and some
    assert work.done()
    running.cancel()


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
