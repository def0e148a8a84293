"""How long a failed job waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.retry import JITTER, RetryPolicy, retry_delay_seconds

POLICIES = st.builds(
    RetryPolicy,
    st.integers(1, 100),
    st.floats(0, 86_400),
    st.floats(0, 86_400),
    st.floats(0, 10),
)
FAILURES = st.integers(1, 100)
SPREADS = st.floats(-1, 1)


@given(POLICIES, FAILURES, SPREADS)
def test_delay_stays_in_its_bounds(policy: RetryPolicy, failures: int, spread: float) -> None:
    delay = retry_delay_seconds(policy, failures, spread)
    assert 0 <= delay <= policy.max_backoff_seconds * (1 + JITTER)


@given(POLICIES, FAILURES, SPREADS)
def test_spread_moves_a_fifth_at_most(policy: RetryPolicy, failures: int, spread: float) -> None:
    middle = retry_delay_seconds(policy, failures, 0)
    delay = retry_delay_seconds(policy, failures, spread)
    assert delay == pytest.approx(middle * (1 + JITTER * spread))
    assert abs(delay - middle) <= middle * 0.2 + 1e-9


@given(POLICIES.filter(lambda p: p.backoff_multiplier >= 1), FAILURES)
def test_delay_never_shrinks_from_one_failure_to_the_next(
    policy: RetryPolicy, failures: int
) -> None:
    assert retry_delay_seconds(policy, failures, 0) <= retry_delay_seconds(policy, failures + 1, 0)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (10, 512), (11, 600)])
def test_delay_doubles_up_to_the_most(failures: int, seconds: float) -> None:
    assert retry_delay_seconds(RetryPolicy(3, 1.0, 600.0, 2.0), failures, 0) == seconds


def test_delay_without_end_is_the_most() -> None:
    assert retry_delay_seconds(RetryPolicy(3, 1.0, 600.0, 10.0), 10_000, 0) == 600
    assert retry_delay_seconds(RetryPolicy(3, 1e300, 600.0, 1e300), 2, 0) == 600
