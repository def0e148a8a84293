"""Policies over policies: the first that sets an option decides it."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, astuple

from jobsvc.domain.run_policy import OPTIONAL, RunPolicy, server_defaults
from jobsvc.settings import Settings

FIELDS = RunPolicy.__struct_fields__
policies = st.lists(st.none() | st.integers(0, 3), min_size=len(FIELDS), max_size=len(FIELDS)).map(
    lambda values: RunPolicy(*values)
)


@given(st.lists(policies, min_size=1, max_size=4))
def test_first_policy_that_sets_an_option_decides_it(chain: list[RunPolicy]) -> None:
    result = chain[0]
    for policy in chain[1:]:
        result = result.over(policy)
    for name in FIELDS:
        values = [getattr(policy, name) for policy in chain]
        assert getattr(result, name) == next((v for v in values if v is not None), None)


@given(policies, policies, policies)
def test_it_does_not_matter_which_two_are_joined_first(
    one: RunPolicy, two: RunPolicy, three: RunPolicy
) -> None:
    assert one.over(two).over(three) == one.over(two.over(three))


def test_server_sets_every_option_but_the_optional_ones() -> None:
    settings = Settings()
    for name, value in asdict(server_defaults(settings)).items():
        assert value == (None if name in OPTIONAL else getattr(settings, name))


def test_open_policy_sets_nothing() -> None:
    assert set(astuple(RunPolicy())) == {None}
