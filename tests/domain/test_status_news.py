"""What a follower passes on, over every history of reads, with steps back of the database in it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.status_news import is_news

#: Versions as a follower reads them, one after the other; a step back makes one fall.
READS = st.lists(st.integers(1, 5), max_size=20)


@given(READS, st.integers(1, 5))
def test_follower_has_passed_on_what_is_true_and_the_end(reads: list[int], last: int) -> None:
    seen, passed_on = 0, []
    for version in reads:
        if is_news(seen, version, ended=False):
            passed_on.append(version)
            seen = version
        assert passed_on[-1] == version
    assert is_news(seen, last, ended=True)
    assert all(one != other for one, other in itertools.pairwise(passed_on))
