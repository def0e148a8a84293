"""Who callers are, and what they may do."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.access_policy import PolicyInvalid, Role, read_policy
from jobsvc.domain.errors import RoleRequired
from jobsvc.domain.identity import (
    ADMIN,
    PAYLOADS_VIEWER,
    ROLES,
    SERVICE_NAME,
    WORKER,
    Grant,
    Identity,
    Principal,
    matches,
)
from jobsvc.domain.worker import is_worker_of, worker_of


def identity(*roles: str, queues: tuple[str, ...] = ()) -> Identity:
    return Identity.of(Principal("key:web", Grant(roles, queues)))


def test_policy_knows_all_roles() -> None:
    assert set(get_args(Role)) == set(ROLES)


@pytest.mark.parametrize(
    ("pattern", "name", "is_meant"),
    [
        ("mail", "mail", True),
        ("mail", "mail-in", False),
        ("mail-*", "mail-in", True),
        ("mail-*", "email-in", False),
        ("*", "anything", True),
        ("spiffe://a/ns/*/sa/web", "spiffe://a/ns/prod/sa/web", True),
        ("spiffe://a/ns/*/sa/web", "spiffe://a/ns/prod/x/sa/web", False),
        ("spiffe://a/ns/*", "spiffe://a/ns/prod/sa/web", False),
        ("spiffe://a/ns/**", "spiffe://a/ns/prod/sa/web", True),
        ("a.c", "abc", False),
        ("(a|b)", "a", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_pattern_has_names(pattern: str, name: str, is_meant: bool) -> None:
    assert matches(pattern, name) is is_meant


@given(st.text())
def test_name_is_its_own_pattern_unless_it_has_stars(name: str) -> None:
    assert matches(name, name)


def test_without_a_role_nothing_is_allowed() -> None:
    for role in ROLES:
        with pytest.raises(RoleRequired):
            identity().check_any([role])


def test_admin_has_every_role_and_queue() -> None:
    admin = identity(ADMIN)
    for role in ROLES:
        admin.check_any([role])
    admin.check_works_on(["any"])
    admin.check_declares("any")
    assert admin.sees_all
    assert not identity(*(set(ROLES) - {ADMIN})).sees_all


def test_queues_are_for_workers_only() -> None:
    with pytest.raises(RoleRequired):
        identity(PAYLOADS_VIEWER, queues=("mail",)).check_works_on(["mail"])
    identity(WORKER, queues=("mail",)).check_works_on(["mail"])
    with pytest.raises(RoleRequired) as refused:
        identity(WORKER, queues=("mail",)).check_works_on(["mail", "post"])
    assert refused.value.metadata == {"roles": WORKER, "queue": "post"}


def test_identity_covers_one_that_may_do_less() -> None:
    less, more = (
        identity(WORKER, queues=("a",)),
        identity(WORKER, PAYLOADS_VIEWER, queues=("a", "b")),
    )
    assert more.covers(less)
    assert not less.covers(more)
    assert not identity(WORKER, queues=("b",)).covers(less)
    assert identity(ADMIN).covers(more)
    assert not Identity("key:web", "another", frozenset(ROLES), ("a",)).covers(less)


def test_rules_add_up_and_the_first_service_counts() -> None:
    policy = read_policy(
        """
        [[rules]]
        identity = "key:*"
        roles = ["jobs.viewer"]
        [[rules]]
        identity = "key:web"
        service = "shop"
        roles = ["jobs.worker"]
        queues = ["mail-*"]
        [[rules]]
        claim = "groups"
        value = "ops"
        roles = ["jobs.admin"]
        [[rules]]
        identity = "key:web"
        service = "later"
        """
    )
    web = policy.identify(Principal("key:web", Grant(("jobs.creator",))))
    assert web.service == "shop"
    assert web.roles == {"jobs.viewer", "jobs.worker", "jobs.creator"}
    assert web.queues == ("mail-*",)
    other = policy.identify(Principal("jwt:web"))
    assert (other.service, other.roles) == ("jwt:web", frozenset())
    ops = policy.identify(Principal("jwt:joe", claims=(("groups", ("dev", "ops")),)))
    assert ops.sees_all
    assert not policy.identify(Principal("jwt:joe", claims=(("group", ("ops",)),))).sees_all


@pytest.mark.parametrize(
    "text",
    [
        "rules = 1",
        "[[rules]]",
        "[[rules]\nidentity = 'a'",
        "[[rule]]\nidentity = 'a'",
        "[[rules]]\nidentity = 'a'\nroles = ['jobs.viewr']",
        "[[rules]]\nidentity = 'a'\nrole = ['jobs.viewer']",
        "[[rules]]\nidentity = 'a'",
        "[[rules]]\nroles = ['jobs.admin']",
        "[[rules]]\nclaim = 'a'\nroles = ['jobs.admin']",
        "[[rules]]\nvalue = 'a'\nidentity = 'a'\nroles = ['jobs.admin']",
        "[[rules]]\nidentity = 'a'\nroles = ['jobs.worker']",
        "[[rules]]\nidentity = 'a'\nroles = ['jobs.viewer']\nqueues = ['q']",
        "[[rules]]\nidentity = 'a'\nroles = ['jobs.worker']\nqueues = ['']",
        "[[rules]]\nidentity = 'a'\nservice = 'a b'",
    ],
)
def test_policy_that_is_malformed_is_refused_whole(text: str) -> None:
    good = "[[rules]]\nidentity = 'ok'\nroles = ['jobs.viewer']\n"
    read_policy(good)
    with pytest.raises(PolicyInvalid):
        read_policy(good + text)


@given(
    st.from_regex(SERVICE_NAME, fullmatch=True),
    st.from_regex(SERVICE_NAME, fullmatch=True),
    st.text(min_size=1),
    st.text(min_size=1),
)
def test_no_worker_of_one_service_is_one_of_another(a: str, b: str, x: str, y: str) -> None:
    assert is_worker_of(a, worker_of(a, x))
    if a != b:
        assert worker_of(a, x) != worker_of(b, y)
        assert not is_worker_of(b, worker_of(a, x))
