"""The batcher: one write for all waiting calls, and one result for each."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.store.batch import Batcher, PartlyWritten


class Writer:
    """A write function that can be blocked, and that refuses some items."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.began = asyncio.Event()
        #: Errors of the next writes, whatever is written.
        self.errors: list[Exception] = []

    async def __call__(self, items: Sequence[str]) -> list[str]:
        self.batches.append(list(items))
        self.began.set()
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]

    async def hold(self, batcher: Batcher[str, str]) -> asyncio.Task[str]:
        """Blocks a write of `first`, so that later calls wait together."""
        self.open.clear()
        self.began.clear()
        first = asyncio.ensure_future(batcher.submit_one("first"))
        await self.began.wait()
        return first


@asynccontextmanager
async def running(
    writer: Writer, max_items: int = 100, expected_errors: tuple[type[Exception], ...] = ()
) -> AsyncIterator[Batcher[str, str]]:
    batcher = Batcher(writer, max_items, expected_errors)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(batcher.run())
        yield batcher
        run.cancel()


async def gather_waiting(*calls: asyncio.Future[object]) -> None:
    """Lets calls that have just been made reach the batcher."""
    for _ in calls:
        await asyncio.sleep(0)


async def test_item_on_its_way_through_the_loop_joins_the_batch() -> None:
    writer = Writer()

    async def arrive(item: str, passes: int) -> str:
        for _ in range(passes):
            await asyncio.sleep(0)
        return await batcher.submit_one(item)

    async with running(writer) as batcher:
        answers = await asyncio.gather(*(arrive(f"{n}", n) for n in range(5)))
    assert answers == ["0", "1", "2", "3", "4"]
    assert writer.batches == [answers], "one write, though each arrived a pass after the other"


async def test_stream_of_arrivals_does_not_hold_a_batch_up_for_ever() -> None:
    writer = Writer()
    async with running(writer) as batcher, asyncio.TaskGroup() as calls:
        while not writer.batches:
            calls.create_task(batcher.submit_one("one"))
            await asyncio.sleep(0)
    assert len(writer.batches[0]) <= 70


async def test_lone_item_is_written_at_once() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        assert await batcher.submit_one("a") == "A"
        assert await batcher.submit_one("b") == "B"
        assert await batcher.submit([]) == ()
    assert writer.batches == [["a"], ["b"]]


async def _passes(writer: Writer, batcher: Batcher[str, str]) -> int:
    """The number of passes of the loop until an item is written."""
    before, passes = len(writer.batches), 0
    submitted = asyncio.ensure_future(batcher.submit_one("one"))
    while len(writer.batches) == before:
        await asyncio.sleep(0)
        passes += 1
    await submitted
    return passes


async def test_call_does_not_wait_when_many_before_it_were_alone() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        assert [await _passes(writer, batcher) > 10 for _ in range(8)] == [True] * 8
        assert await _passes(writer, batcher) <= 3
        await asyncio.gather(*(batcher.submit_one(c) for c in "ab"))
        assert await _passes(writer, batcher) > 10


async def test_call_during_a_write_makes_the_next_one_wait_for_others() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        for _ in range(9):
            await _passes(writer, batcher)
        first = await writer.hold(batcher)
        second = asyncio.ensure_future(batcher.submit_one("second"))
        await gather_waiting(second)
        writer.open.set()
        await asyncio.gather(first, second)
        assert await _passes(writer, batcher) > 10


async def test_calls_during_a_write_form_the_next_one() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        first = await writer.hold(batcher)
        calls = [asyncio.ensure_future(batcher.submit([c, c + "2"])) for c in "abc"]
        await gather_waiting(*calls)
        writer.open.set()
        assert await first == "FIRST"
        assert await asyncio.gather(*calls) == [["A", "A2"], ["B", "B2"], ["C", "C2"]]
    assert writer.batches == [["first"], ["a", "a2", "b", "b2", "c", "c2"]]


async def test_batch_is_bounded_and_splits_no_call() -> None:
    writer = Writer()
    async with running(writer, max_items=4) as batcher:
        first = await writer.hold(batcher)
        calls = [
            asyncio.ensure_future(batcher.submit(list(items)))
            for items in ("abc", "de", "f", "ghijklm", "n")
        ]
        await gather_waiting(*calls)
        writer.open.set()
        await asyncio.gather(first, *calls)
    assert ["".join(batch) for batch in writer.batches[1:]] == ["abc", "def", "ghijklm", "n"]


async def test_items_of_a_failing_batch_are_tried_one_by_one() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        results = await batcher.submit(["a", "bad", "b"])
        assert [r if isinstance(r, str) else type(r) for r in results] == ["A", ValueError, "B"]
        with pytest.raises(ValueError, match="bad"):
            await batcher.submit_one("bad")
        assert await batcher.submit_one("c") == "C"
    assert writer.batches == [["a", "bad", "b"], ["a"], ["bad"], ["b"], ["bad"], ["c"]]


async def test_only_errors_that_are_not_expected_are_logged_as_defects(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for expected, logged in (((), 1), ((ValueError,), 0)):
        caplog.clear()
        async with running(Writer(), expected_errors=expected) as batcher:
            with pytest.raises(ValueError, match="bad"):
                await batcher.submit_one("bad")
        assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == logged


async def test_database_that_is_away_is_told_to_all_at_once() -> None:
    writer = Writer()
    writer.errors = [DatabaseUnavailable("away")]
    async with running(writer) as batcher:
        first = await writer.hold(batcher)
        calls = [asyncio.ensure_future(batcher.submit_one(c)) for c in "abc"]
        await gather_waiting(*calls)
        writer.open.set()
        with pytest.raises(DatabaseUnavailable):
            await first
        assert await asyncio.gather(*calls) == ["A", "B", "C"]
        writer.errors = [DatabaseUnavailable("away")]
        results = await batcher.submit(["x", "y"])
        assert [type(result) for result in results] == [DatabaseUnavailable] * 2
    assert writer.batches == [["first"], ["a", "b", "c"], ["x", "y"]]


async def test_database_that_goes_away_in_between_is_told_to_the_rest() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        writer.errors = [ValueError("bad"), DatabaseUnavailable("away")]
        first, second = await batcher.submit(["a", "b"])
    assert isinstance(first, DatabaseUnavailable)
    assert second == "B"


async def test_cancelled_caller_leaves_the_batch_unharmed() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        first = await writer.hold(batcher)
        calls = [asyncio.ensure_future(batcher.submit_one(c)) for c in "abc"]
        await gather_waiting(*calls)
        calls[1].cancel()
        first.cancel()
        writer.open.set()
        assert [await calls[0], await calls[2]] == ["A", "C"]
        assert calls[1].cancelled()
        assert first.cancelled()
        assert await batcher.submit_one("d") == "D"
    assert writer.batches == [["first"], ["a", "b", "c"], ["d"]]


async def test_nobody_waits_for_a_batcher_that_has_stopped() -> None:
    writer = Writer()
    async with running(writer) as batcher:
        in_flight = await writer.hold(batcher)
        waiting = asyncio.ensure_future(batcher.submit_one("a"))
        await gather_waiting(waiting)
    for call in (in_flight, waiting):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(call, 5)


@pytest.mark.parametrize("cause", [ValueError("bad"), DatabaseUnavailable("away")])
async def test_what_was_written_before_a_part_failed_is_not_written_again(cause: Exception) -> None:
    writer = Writer()
    partly = PartlyWritten(["A", None, "C"])
    partly.__cause__ = cause
    writer.errors = [partly]
    async with running(writer) as batcher:
        results = await batcher.submit(["a", "b", "c"])
        is_away = isinstance(cause, DatabaseUnavailable)
        assert results == ["A", cause if is_away else "B", "C"]
        assert batcher.take_found_away() is is_away
    assert writer.batches == [["a", "b", "c"], *([] if is_away else [["b"]])]
