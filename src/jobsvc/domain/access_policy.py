"""The policy file: who may do what. Pure."""

from typing import Literal

import msgspec

from jobsvc.domain.identity import SERVICE_NAME, WORKER, Grant, Identity, Principal, matches
from jobsvc.domain.share import Share, first_of

#: As `ROLES`; a test compares them.
Role = Literal[
    "jobs.creator",
    "jobs.viewer",
    "payloads.viewer",
    "jobs.worker",
    "queues.admin",
    "jobs.admin",
]


class PolicyInvalid(Exception):
    """The policy is malformed. The text says where."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Roles for those whose name matches `identity` and whose claim `claim` has `value`, of which
    one may be left open."""

    #: A pattern; see `matches`.
    identity: str = ""
    claim: str = ""
    value: str = ""
    #: To whom their jobs belong; the first rule that says it counts.
    service: str = ""
    roles: tuple[Role, ...] = ()
    queues: tuple[str, ...] = ()
    #: The first rule that names a rate counts for it.
    share: Share | None = None

    def is_about(self, principal: Principal) -> bool:
        """Returns whether the rule is about this caller."""
        if self.identity and not matches(self.identity, principal.name):
            return False
        if not self.claim:
            return True
        return any(name == self.claim and self.value in values for name, values in principal.claims)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All rules. Whom none is about has only what its credentials grant."""

    rules: tuple[Rule, ...] = ()

    def identify(self, principal: Principal) -> Identity:
        """Returns who a caller is, with the roles of every rule that is about it."""
        about = [rule for rule in self.rules if rule.is_about(principal)]
        grants = [Grant(rule.roles, rule.queues) for rule in about]
        service = next((rule.service for rule in about if rule.service), "")
        return Identity.of(principal, grants, service, first_of(rule.share for rule in about))


def read_policy(text: str) -> Policy:
    """Returns the policy that TOML spells, whole or not at all.

    Raises:
        PolicyInvalid: the text is no TOML, has a field or a role that does not exist, or a rule
            that could not mean anything.
    """
    try:
        policy = msgspec.toml.decode(text, type=Policy)
    except (msgspec.DecodeError, ValueError) as error:
        raise PolicyInvalid(f"{error}") from None
    for number, rule in enumerate(policy.rules, 1):
        if complaint := _complaint_about(rule):
            raise PolicyInvalid(f"rule {number}: {complaint}")
    return policy


def complaint_about_grant(grant: Grant) -> str:
    """Returns what is wrong with roles and queues that are granted together; empty if nothing."""
    if WORKER in grant.roles and not grant.queues:
        return f"{WORKER} needs queues"
    if grant.queues and WORKER not in grant.roles:
        return f"queues are for {WORKER}"
    if not all(grant.queues):
        return "a queue has no name"
    return ""


def _complaint_about(rule: Rule) -> str:
    if not rule.identity and not rule.claim:
        return "names neither an identity nor a claim"
    if bool(rule.claim) != bool(rule.value):
        return "claim and value need each other"
    if not rule.roles and not rule.service and rule.share is None:
        return "grants nothing"
    if rule.share is not None and (complaint := rule.share.complaint):
        return complaint
    if rule.service and not SERVICE_NAME.fullmatch(rule.service):
        return "a service is 1 to 256 printable ASCII characters without blanks"
    return complaint_about_grant(Grant(rule.roles, rule.queues))
