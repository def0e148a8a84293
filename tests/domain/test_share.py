"""No caller gets more than its rate and its burst, and each gets that, over random times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.access_policy import PolicyInvalid, read_policy
from jobsvc.domain.identity import Principal
from jobsvc.domain.share import Buckets, CallKind, CallTerms, Rate, Share

_RATES = st.builds(Rate, st.floats(0.1, 1000), st.integers(1, 100))
#: Pauses before a caller asks, and how much it asks for.
_STEPS = st.lists(st.tuples(st.floats(0, 2), st.integers(1, 20)), max_size=50)


@given(_RATES, _STEPS)
def test_never_more_than_burst_and_rate_in_any_time(
    rate: Rate, steps: list[tuple[float, int]]
) -> None:
    buckets, now = Buckets(), 1000.0
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        now += pause
        amount = min(amount, int(rate.burst))
        if not buckets.take("a", rate, now, amount):
            taken.append((now, amount))
    for index, (began, _) in enumerate(taken):
        total = 0
        for when, amount in taken[index:]:
            total += amount
            assert total <= rate.burst + (when - began) * rate.per_second + 0.01


@given(_RATES, _STEPS)
def test_what_is_refused_is_there_after_the_time_that_is_named_and_not_before(
    rate: Rate, steps: list[tuple[float, int]]
) -> None:
    buckets, now = Buckets(), 1000.0
    for pause, amount in steps:
        now += pause
        if seconds := buckets.take("a", rate, now, amount):
            assert buckets.wait_seconds("a", rate, now + seconds * 0.99 - 1e-5, amount) > 0
            now += seconds
            assert buckets.take("a", rate, now, amount) == 0


def test_callers_have_buckets_of_their_own() -> None:
    buckets, rate = Buckets(), Rate(1, 2)
    assert [buckets.take("a", rate, 0.0) for _ in range(3)] == [0, 0, 1]
    assert buckets.take("b", rate, 0.0) == 0


def test_more_than_a_burst_is_there_once_the_bucket_is_full_and_owed_after() -> None:
    buckets, rate = Buckets(), Rate(10, 10)
    assert buckets.take("a", rate, 0.0, 1) == 0
    assert buckets.take("a", rate, 0.0, 100) == pytest.approx(0.1)
    assert buckets.take("a", rate, 0.1, 100) == 0
    # Full after 100 tenths of a second; one is there a full burst earlier.
    assert buckets.take("a", rate, 0.1, 1) == pytest.approx(9.1)


def test_callers_with_full_buckets_are_forgotten() -> None:
    buckets, rate = Buckets(), Rate(1, 1)
    for number in range(5000):
        buckets.take(f"{number}", rate, float(number))
    assert len(buckets) <= 1001


def _share(policy: str, name: str) -> Share:
    return read_policy(policy).identify(Principal(name)).share


_TWO = """
[[rules]]
identity = "jwt:shop-*"
share = {jobs_per_second = 5}

[[rules]]
identity = "**"
roles = ["jobs.creator"]
share = {calls_per_second = 0.5, calls_burst = 3, jobs_per_second = 7, jobs_burst = 70}
"""


def test_first_rule_that_names_a_rate_counts_for_it() -> None:
    shop, bank = _share(_TWO, "jwt:shop-web"), _share(_TWO, "jwt:bank")
    assert (shop.calls, shop.jobs) == (Rate(0.5, 3), Rate(5, 10))
    assert (bank.calls, bank.jobs) == (Rate(0.5, 3), Rate(7, 70))


_LIMITS = """
[[rules]]
identity = "jwt:shop-*"
share = {streams = 5, waiting_jobs = 100}

[[rules]]
identity = "**"
share = {streams = 1, waiting_calls = 2, bytes_in_progress = 3, calls_per_second = 4}
"""


def test_first_rule_that_names_a_limit_counts_for_it() -> None:
    shop = _share(_LIMITS, "jwt:shop-web")
    assert (shop.streams, shop.waiting_calls, shop.bytes_in_progress) == (5, 2, 3)
    assert shop.waiting_jobs == 100
    assert shop.terms[CallKind.STREAM] == CallTerms(Rate(4, 8), 5, 3)
    assert shop.terms[CallKind.WAITING] == CallTerms(Rate(4, 8), 2, 3)
    assert shop.terms[CallKind.CALL] == CallTerms(Rate(4, 8), None, 3)
    # No work is lost for want of a rate.
    assert shop.terms[CallKind.REPORT] == CallTerms(None, None, 3)


def test_caller_of_whom_no_rule_says_a_rate_has_a_generous_one() -> None:
    share = _share("", "jwt:shop")
    assert min(*share.calls, *share.jobs) >= 20_000


@pytest.mark.parametrize(
    "share",
    [
        "{}",
        "{calls_per_second = 0}",
        "{calls_per_second = -1}",
        "{calls_per_second = nan}",
        "{calls_per_second = inf}",
        "{calls_burst = 5}",
        "{jobs_per_second = 1, jobs_burst = 0}",
        "{jobs_per_second = 1, jobs_burst = 1.5}",
        "{streams = 0}",
        "{waiting_calls = -1}",
        "{bytes_in_progress = 1.5}",
        "{waiting_jobs = 0}",
        "{jobs_waiting = 1}",
    ],
)
def test_share_that_means_nothing_is_refused(share: str) -> None:
    with pytest.raises(PolicyInvalid):
        read_policy(f'[[rules]]\nidentity = "a"\nroles = ["jobs.viewer"]\nshare = {share}\n')
