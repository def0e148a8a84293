"""Callers who may see a job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.errors import JobNotOwned
from jobsvc.domain.owner import Owner, check_owner
from tests.support.samples import JOB_ID

OWNERS = st.builds(
    Owner,
    st.sampled_from(["", "web", "cron"]),
    st.sampled_from(["", "ada", "bob"]),
    st.sampled_from([None, b"1", b"2"]),
)
CALLERS = st.builds(
    Owner,
    st.sampled_from(["", "web"]),
    st.sampled_from(["", "ada"]),
    st.sampled_from([None, b"1", b"2"]),
    former_session_hashes=st.sampled_from([(), (b"0",), (b"3", b"0")]),
)


@pytest.mark.parametrize(
    ("caller", "owner", "allowed"),
    [
        (Owner(), Owner(), True),
        (Owner("web"), Owner("web"), True),
        (Owner("web"), Owner("cron"), False),
        (Owner("web", "ada"), Owner("web"), True),
        (Owner("web", "ada"), Owner("web", "ada"), True),
        (Owner("web", "ada"), Owner("web", "bob"), False),
        (Owner("web", "ada"), Owner("web", "Ada"), False),
        (Owner("web"), Owner("web", "ada"), False),
        (Owner("web", "", b"1"), Owner("web", "", b"1"), True),
        (Owner("web", "", b"2"), Owner("web", "", b"1"), False),
        (Owner("web"), Owner("web", "", b"1"), False),
        # Bound to both: either of them will do.
        (Owner("web", "ada"), Owner("web", "ada", b"1"), True),
        (Owner("web", "", b"1"), Owner("web", "ada", b"1"), True),
        (Owner("web", "bob", b"2"), Owner("web", "ada", b"1"), False),
        (Owner("cron", "ada", b"1"), Owner("web", "ada", b"1"), False),
        # No user is nobody in particular, not an equal.
        (Owner("web", "", b"2"), Owner("web", "ada", b"1"), False),
        (Owner("web", "bob"), Owner("web", "", b"1"), False),
        # The session under a key of before.
        (Owner("web", "", b"2", former_session_hashes=(b"1",)), Owner("web", "", b"1"), True),
        (Owner("web", "", b"2", former_session_hashes=(b"1",)), Owner("web", "", b"3"), False),
        (Owner("cron", "", b"2", former_session_hashes=(b"1",)), Owner("web", "", b"1"), False),
        (Owner("web", "", b"2", former_session_hashes=(b"1",)), Owner("web", "ada", b"1"), True),
    ],
)
def test_job_is_visible_to_its_own(caller: Owner, owner: Owner, allowed: bool) -> None:
    assert caller.owns(owner) is allowed


@given(OWNERS)
def test_everybody_owns_what_is_their_own(owner: Owner) -> None:
    assert owner.owns(owner)


@given(CALLERS, OWNERS)
def test_bound_job_needs_an_equal_session_or_user(caller: Owner, owner: Owner) -> None:
    if caller.owns(owner) and (owner.user_id or owner.session_hash):
        shared = {caller.user_id, *caller.session_hashes} & {owner.user_id, owner.session_hash}
        assert shared - {"", None}
        assert caller.service == owner.service


@pytest.mark.parametrize(
    ("caller", "owner", "same"),
    [
        (Owner("web"), Owner("web"), True),
        (Owner("web"), Owner("cron"), False),
        (Owner("web", "ada", b"1"), Owner("web", "ada", b"1"), True),
        (Owner("web", "ada", b"1"), Owner("web", "bob", b"1"), False),
        (Owner("web", "ada"), Owner("web", "ada", b"1"), False),
        (Owner("web", "ada", b"1"), Owner("web", "ada"), False),
        (Owner("web", "", b"2", former_session_hashes=(b"1",)), Owner("web", "", b"1"), True),
        (Owner("web", "", b"2", former_session_hashes=(b"0",)), Owner("web", "", b"1"), False),
    ],
)
def test_caller_is_the_owner_by_the_session_under_any_key(
    caller: Owner, owner: Owner, same: bool
) -> None:
    assert caller.is_same_as(owner) is same


def test_stranger_without_session_is_told_what_is_missing() -> None:
    bound = Owner("web", "", b"1")
    with pytest.raises(JobNotOwned) as refused:
        check_owner(Owner("web"), bound, JOB_ID)
    assert refused.value.metadata == {"jobId": JOB_ID, "missingMetadata": "x-session-id"}


@pytest.mark.parametrize("caller", [Owner("web", "bob"), Owner("web", "", b"2")])
def test_stranger_with_a_session_is_told_nothing_more(caller: Owner) -> None:
    bound = Owner("web", "ada", b"1")
    with pytest.raises(JobNotOwned) as refused:
        check_owner(caller, bound, JOB_ID)
    assert refused.value.metadata == {"jobId": JOB_ID}
    assert "ada" not in refused.value.message


def test_owner_passes() -> None:
    check_owner(Owner("web", "ada"), Owner("web", "ada", b"1"), JOB_ID)
