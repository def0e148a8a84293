"""The bound of the work of a pattern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.pattern_cost import pattern_cost


@pytest.mark.parametrize(
    ("pattern", "positions", "single_path"),
    [
        ("^abc$", 3, True),
        ("abc", 3, False),
        ("^[a-z]{1,20}$", 20, True),
        ("^[a-z]{1,20}x", 21, False),
        ("^([ab]{2}-){3}c?$", 10, True),
        ("^([ab]+-){3}$", 6, False),
        ("^(a|bc)$", 3, False),
        (r"^\p{Greek}\u{1F600}\x41\.$", 4, True),
        (r"^[\]a]{3}[^]b]$", 4, True),
        ("^(?:ab)*$", 2, False),
        ("^(?<n>ab){2}$", 4, True),
        ("((a{99}){99}){99}", 99**3, False),
    ],
)
def test_positions_of_a_pattern(pattern: str, positions: int, single_path: bool) -> None:
    cost = pattern_cost(pattern)
    assert (cost.positions, cost.single_path) == (positions, single_path)


@given(st.text(st.sampled_from("ab^$()[]{}?*+|\\.,19pPux:<>"), max_size=30))
def test_any_text_has_a_bound_as_a_pattern(text: str) -> None:
    assert pattern_cost(text).steps_per_byte >= 1
