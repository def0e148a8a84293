"""No caller takes all, whoever came first; checked over random sequences of calls."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.fair_limit import CALLERS, FairLimit, Holdings

_LIMITS = st.builds(FairLimit.reserving, st.integers(0, 300), st.integers(0, 90))
#: Who takes (a positive amount) or gives back (a negative one), as much of it as they may.
_STEPS = st.lists(st.tuples(st.integers(1, CALLERS), st.integers(-60, 60)), max_size=60)


def _take(limit: FairLimit, held: Counter[int], caller: int, amount: int) -> bool:
    admitted = limit.admits(held[caller], held.total(), amount)
    if admitted:
        held[caller] += amount
    return admitted


def _fill(limit: FairLimit, held: Counter[int], caller: int) -> int:
    """Takes one by one for as long as the caller is admitted, and returns what it then holds."""
    while _take(limit, held, caller, 1):
        pass
    return held[caller]


@given(st.integers(0, 5000), st.integers(0, 90))
def test_caller_that_is_alone_gets_all_but_the_reserve(limit: int, percent: int) -> None:
    rule = FairLimit.reserving(limit, percent)
    assert _fill(rule, Counter(), 1) >= limit * (100 - percent) / 100


@given(_LIMITS, _STEPS)
def test_callers_never_hold_more_than_the_limit_together(
    limit: FairLimit, steps: list[tuple[int, int]]
) -> None:
    held: Counter[int] = Counter()
    for caller, amount in steps:
        _step(limit, held, caller, amount)
        assert held.total() <= limit.limit


@given(_LIMITS, _STEPS)
def test_share_is_there_whatever_others_hold_and_whoever_came_first(
    limit: FairLimit, steps: list[tuple[int, int]]
) -> None:
    held: Counter[int] = Counter()
    for caller, amount in steps:
        _step(limit, held, caller, amount)
    # As many as the reserve has room for; a small reserve is for few.
    for caller in range(1, min(CALLERS, limit.reserve) + 1):
        if held.keys() <= set(range(1, min(CALLERS, limit.reserve) + 1)):
            assert _fill(limit, held.copy(), caller) >= limit.share


def _step(limit: FairLimit, held: Counter[int], caller: int, amount: int) -> None:
    if amount < 0:
        held[caller] -= min(-amount, held[caller])
        held += Counter()  # Without those that hold nothing.
    else:
        _take(limit, held, caller, amount)


def test_default_keeps_a_fifth_for_eight() -> None:
    assert FairLimit.reserving(2000, 20) == FairLimit(2000, 400, 50)


def test_small_limit_keeps_nothing() -> None:
    assert _fill(FairLimit.reserving(4, 20), Counter(), 1) == 4


@given(_LIMITS, st.dictionaries(st.integers(1, CALLERS), st.integers(1, 50)), _STEPS)
def test_callers_own_limit_holds_and_costs_others_nothing(
    limit: FairLimit, own: dict[int, int], steps: list[tuple[int, int]]
) -> None:
    holdings, held = Holdings(limit), Counter[int]()
    for caller, amount in steps:
        if amount <= 0:
            amount = -min(-amount, held[caller])
            holdings.add(f"{caller}", amount)
            held[caller] += amount
            continue
        most = own.get(caller)
        admitted = limit.admits(held[caller], held.total(), amount)
        # One that holds nothing may take whatever there is for all.
        within = most is None or not held[caller] or held[caller] + amount <= most
        assert holdings.take(f"{caller}", amount, most) == (admitted and within)
        held[caller] += amount if admitted and within else 0
    assert holdings.total == held.total()
