"""Who calls, and what they may do. Pure."""

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from jobsvc.domain.errors import RoleRequired
from jobsvc.domain.share import DEFAULT_SHARE, Share

CREATOR = "jobs.creator"
VIEWER = "jobs.viewer"
PAYLOADS_VIEWER = "payloads.viewer"
WORKER = "jobs.worker"
QUEUES_ADMIN = "queues.admin"
ADMIN = "jobs.admin"

#: Each role, and what it is for.
ROLES = {
    CREATOR: "creates jobs, and cancels, retries, changes and deletes those of its service",
    VIEWER: "sees the status of jobs of its service, queues and workers",
    PAYLOADS_VIEWER: "sees inputs, outputs and the metadata of errors too",
    WORKER: "works on the queues that come with the role, and declares them",
    QUEUES_ADMIN: "makes, changes, pauses, purges and deletes queues, and drains workers",
    ADMIN: "may do everything, with the jobs of all services",
}

#: What a service may be called.
SERVICE_NAME = re.compile(r"[\x21-\x7e]{1,256}")


class Grant(msgspec.Struct, frozen=True):
    """Some roles, and patterns of the queues that `jobs.worker` is for."""

    roles: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


class Principal(msgspec.Struct, frozen=True):
    """Whom credentials have proven, before anybody asks what they may do.

    `name` begins with the kind of the credentials, so that an issuer of one kind cannot name whom
    another kind has named: `spiffe://…`, `dns:…`, `key:…`, `jwt:…`.
    """

    name: str
    #: What the credentials themselves grant.
    grant: Grant = Grant()
    #: Values of claims that are texts or lists of texts, by name.
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: Seconds since 1970 when the credentials end; None if they do not.
    end_time: float | None = None
    #: The API key that was used, if one was.
    key_id: str = ""


class Identity(msgspec.Struct, frozen=True):
    """A caller with all that it may do."""

    name: str
    #: To whom its jobs belong.
    service: str
    roles: frozenset[str] = frozenset()
    queues: tuple[str, ...] = ()
    end_time: float | None = None
    key_id: str = ""
    share: Share = DEFAULT_SHARE

    @classmethod
    def of(
        cls,
        principal: Principal,
        grants: Iterable[Grant] = (),
        service: str = "",
        share: Share = DEFAULT_SHARE,
    ) -> "Identity":
        """Returns who `principal` is with its own grant and further ones."""
        all_grants = (principal.grant, *grants)
        roles = frozenset(role for grant in all_grants for role in grant.roles)
        return cls(
            principal.name,
            service or principal.name,
            frozenset(ROLES) if ADMIN in roles else roles,
            tuple(dict.fromkeys(queue for grant in all_grants for queue in grant.queues)),
            principal.end_time,
            principal.key_id,
            share,
        )

    @property
    def sees_all(self) -> bool:
        """Whether it sees the jobs of all services."""
        return ADMIN in self.roles

    def covers(self, other: "Identity") -> bool:
        """Returns whether it is the same service, and may do all that `other` may."""
        return (
            self.service == other.service
            and self.roles >= other.roles
            and (self.sees_all or set(self.queues) >= set(other.queues))
        )

    def check_any(self, roles: Iterable[str]) -> None:
        """Checks that it has one of `roles`.

        Raises:
            RoleRequired: it has none of them.
        """
        if self.roles.isdisjoint(roles):
            raise RoleRequired(roles)

    def check_works_on(self, queues: Iterable[str]) -> None:
        """Checks that it may work on each of `queues`.

        Raises:
            RoleRequired: it may not, whether there is such a queue or not.
        """
        for queue in queues:
            if not self._works_on(queue):
                raise RoleRequired([WORKER], queue)

    def check_declares(self, queue: str) -> None:
        """Checks that it may declare a queue: as its worker, or as an operator.

        Raises:
            RoleRequired: it may not, whether there is such a queue or not.
        """
        if QUEUES_ADMIN not in self.roles and not self._works_on(queue):
            raise RoleRequired([WORKER, QUEUES_ADMIN], queue)

    def _works_on(self, queue: str) -> bool:
        if ADMIN in self.roles:
            return True
        return WORKER in self.roles and any(matches(pattern, queue) for pattern in self.queues)


def matches(pattern: str, name: str) -> bool:
    """Returns whether a pattern has a name: `*` stands for any characters but `/`, `**` for any."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*?)", pattern)
    meanings = {"*": "[^/]*", "**": ".*"}
    return re.compile("".join(meanings.get(part) or re.escape(part) for part in parts), re.DOTALL)
