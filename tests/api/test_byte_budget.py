"""Bytes of requests and answers: there is room, or one waits, or is refused; all is given back."""

import asyncio

import pytest

from jobsvc.api.byte_budget import ByteBudget, Charge, ExpectedSize
from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit

#: A caller that is alone gets 500; each of eight has a share of 62.
_LIMIT = FairLimit.reserving(1000, 50)


@pytest.fixture
def budget() -> ByteBudget:
    return ByteBudget(_LIMIT)


async def _started(charge: Charge, size_bytes: int) -> asyncio.Task[None]:
    """A task that waits for room, or has found it."""
    task = asyncio.ensure_future(charge.wait(size_bytes))
    await asyncio.sleep(0)  # The task begins.
    await asyncio.sleep(0)  # It may end.
    return task


async def test_what_has_no_room_is_refused_and_other_callers_have_their_share(
    budget: ByteBudget,
) -> None:
    first, other = Charge(budget, "a"), Charge(budget, "b")
    first.take(500)
    with pytest.raises(RateLimited) as refused:
        first.take(1)
    assert refused.value.subject == "your share of bytes of requests and answers"
    other.take(62)
    with pytest.raises(RateLimited):
        other.take(1)
    first.give_back(400)
    other.take(338)


async def test_closed_charge_gives_everything_back(budget: ByteBudget) -> None:
    charge = Charge(budget, "a")
    charge.take(100)
    await charge.wait(100)
    await charge.reserve(200, 1)
    charge.settle(50)
    await charge.exchange(70, 1)
    charge.close()
    charge.close()
    Charge(budget, "b").take(500)


async def test_what_is_there_takes_the_place_of_what_was_reserved(budget: ByteBudget) -> None:
    charge, other = Charge(budget, "a"), Charge(budget, "a")
    await charge.reserve(500, 1)
    charge.settle(200)
    other.take(200)
    await charge.exchange(300, 1)
    with pytest.raises(RateLimited):
        await charge.exchange(301, 0.01)
    charge.settle(400)
    await charge.exchange(300, 1)
    with pytest.raises(RateLimited):
        other.take(1)


async def test_peak_is_told_once_most_of_it_has_been_given_back(budget: ByteBudget) -> None:
    charge = Charge(budget, "a")
    charge.take(300)
    charge.give_back(100)
    charge.take(50)
    assert budget.take_peak() == 0
    charge.give_back(200)
    assert budget.take_peak() == 300
    assert budget.take_peak() == 0
    charge.close()
    assert budget.take_peak() == 50


async def test_those_who_wait_are_served_in_order_and_by_caller(budget: ByteBudget) -> None:
    holder, waiter, other = Charge(budget, "a"), Charge(budget, "a"), Charge(budget, "b")
    holder.take(500)
    large = await _started(waiter, 300)
    small = await _started(waiter, 10)
    assert (await _started(other, 60)).done(), "another caller has its share"
    holder.give_back(100)
    await asyncio.sleep(0)  # Whoever has room goes on.
    assert not large.done()
    assert not small.done(), "it came later"
    last = await _started(waiter, 10)
    assert not last.done(), "so did this"
    holder.give_back(300)
    await asyncio.wait_for(asyncio.gather(large, small, last), 5)


async def test_those_who_have_an_answer_go_first(budget: ByteBudget) -> None:
    holder, answered, newcomer = (Charge(budget, "a") for _ in range(3))
    holder.take(450)
    answered.take(50)
    waiting = await _started(newcomer, 100)
    exchange = asyncio.ensure_future(answered.exchange(300, 5))
    await asyncio.sleep(0)  # It begins.
    holder.give_back(250)
    await asyncio.wait_for(exchange, 5)
    assert not waiting.done()
    answered.close()
    await asyncio.wait_for(waiting, 5)


async def test_those_who_have_an_answer_do_not_wait_for_each_other(budget: ByteBudget) -> None:
    charges = [Charge(budget, "a") for _ in range(10)]
    for charge in charges:
        charge.take(50)

    async def answer(charge: Charge) -> None:
        await charge.exchange(250, 5)
        charge.close()

    await asyncio.wait_for(asyncio.gather(*map(answer, charges)), 5)


async def test_cancelled_wait_holds_nothing_and_holds_up_nobody(budget: ByteBudget) -> None:
    holder, waiter = Charge(budget, "a"), Charge(budget, "a")
    holder.take(500)
    large = await _started(waiter, 400)
    small = await _started(waiter, 10)
    holder.give_back(50)
    large.cancel()
    await asyncio.wait_for(small, 5)
    granted = await _started(waiter, 400)
    holder.close()
    granted.cancel()
    await asyncio.wait([granted, large])
    waiter.close()
    Charge(budget, "b").take(500)


async def test_wait_for_a_reservation_ends(budget: ByteBudget) -> None:
    holder, waiter = Charge(budget, "a"), Charge(budget, "a")
    holder.take(500)
    with pytest.raises(RateLimited):
        await waiter.reserve(1, 0.01)
    holder.close()
    await waiter.reserve(500, 1)


async def test_what_is_larger_than_all_room_waits_for_all_of_it(budget: ByteBudget) -> None:
    charge, other = Charge(budget, "a"), Charge(budget, "a")
    await charge.reserve(9999, 1)
    with pytest.raises(RateLimited):
        other.take(1)
    charge.close()
    await charge.exchange(9999, 1)
    charge.close()
    other.take(500)


def test_large_answers_are_expected_for_some_time() -> None:
    expected = ExpectedSize()
    least = expected.bytes
    expected.saw(1)
    assert expected.bytes == least
    expected.saw(1 << 20)
    expected.saw(1)
    assert least < expected.bytes < 1 << 20
    for _ in range(40):
        expected.saw(1)
    assert expected.bytes == least


async def test_own_limit_of_a_caller_bounds_it_but_for_one_call() -> None:
    budget = ByteBudget(FairLimit(1000, 0, 1))
    large, small = Charge(budget, "a", 100), Charge(budget, "a", 100)
    large.take(500)  # Alone, a call of any size goes.
    with pytest.raises(RateLimited) as refused:
        small.take(1)
    assert refused.value.subject == "your share of bytes of requests and answers"
    Charge(budget, "b").take(500)
    waiting = asyncio.ensure_future(small.wait(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    large.close()
    await waiting
    with pytest.raises(RateLimited):
        large.take(41)
    large.take(40)


async def test_answer_beyond_the_own_limit_is_sent_when_its_caller_holds_nothing() -> None:
    budget = ByteBudget(FairLimit(1000, 0, 1))
    charge, other = Charge(budget, "a", 100), Charge(budget, "a", 100)
    charge.take(50)
    other.take(50)
    exchange = asyncio.ensure_future(charge.exchange(500, 30))
    await asyncio.sleep(0)
    assert not exchange.done()
    other.close()
    await exchange
    assert charge.held_bytes == budget.held_bytes == 500
