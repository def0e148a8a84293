"""Reads the caller from metadata."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from contextvars import ContextVar

from jobsvc.domain.errors import InvalidRequest, RoleRequired, Violation
from jobsvc.domain.identity import PAYLOADS_VIEWER, VIEWER, Identity
from jobsvc.domain.owner import CALLER_ID, CALLER_ID_RULE, Owner
from jobsvc.domain.worker import worker_of

Metadata = Iterable[tuple[str, str | bytes]]

#: The caller of the call in progress. The guard sets it for methods whose row says `reads_caller`,
#: in the task that gRPC starts for each call; to read it elsewhere raises LookupError. Handlers get
#: it this way because the contract fixes their arguments.
current_caller: ContextVar[Owner] = ContextVar("current_caller")


#: Who makes the call in progress, where callers are authenticated; None elsewhere.
current_identity: ContextVar[Identity | None] = ContextVar("current_identity", default=None)


def sees_payloads() -> bool:
    """Whether the current caller may see inputs, outputs and the metadata of errors."""
    identity = current_identity.get()
    return identity is None or PAYLOADS_VIEWER in identity.roles


def check_sees_payloads() -> None:
    """Raises RoleRequired unless the current caller may see payloads."""
    if not sees_payloads():
        raise RoleRequired([PAYLOADS_VIEWER])


def reads_jobs() -> bool:
    """Whether the current caller may see the status of jobs."""
    identity = current_identity.get()
    return identity is None or not identity.roles.isdisjoint((VIEWER, PAYLOADS_VIEWER))


def check_works_on(queues: Iterable[str]) -> None:
    """Raises RoleRequired unless the current caller may work on all of these queues."""
    identity = current_identity.get()
    if identity is not None:
        identity.check_works_on(queues)


def check_declares(queue: str) -> None:
    """Raises RoleRequired unless the current caller may declare this queue."""
    identity = current_identity.get()
    if identity is not None:
        identity.check_declares(queue)


def current_service() -> str:
    """The service of the current caller; empty where callers are not authenticated."""
    identity = current_identity.get()
    return "" if identity is None else identity.service


def own_worker_id(worker_id: str) -> str:
    """The id of a worker of the current caller that calls itself `worker_id`."""
    return worker_of(current_service(), worker_id)


class CallerReader:
    """Reads callers from metadata. Session ids leave this class as keyed hashes only."""

    def __init__(self, session_keys: Sequence[bytes]) -> None:
        """What is written has a hash under the first key; hashes under any are known."""
        self._session_keys = session_keys

    def read(self, metadata: Metadata, identity: Identity | None = None) -> Owner:
        """Returns the caller: session and user count within the service of `identity`.

        Raises:
            InvalidRequest: `x-session-id` or `x-user-id` is given twice, or is not
                1 to 256 printable ASCII characters, one of them no blank.
        """
        values: dict[str, str] = {}
        for key, value in metadata:
            if key not in ("x-session-id", "x-user-id"):
                continue
            if key in values:
                raise InvalidRequest([Violation(key, "is given more than once")])
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if not CALLER_ID.fullmatch(text):
                raise InvalidRequest([Violation(key, CALLER_ID_RULE)])
            values[key] = text
        return self._owner(
            "" if identity is None else identity.service,
            values.get("x-user-id", ""),
            values.get("x-session-id", ""),
            sees_all=identity is not None and identity.sees_all,
            most_waiting=None if identity is None else identity.share.waiting_jobs,
        )

    def acting_for(self, caller: Owner, session_id: str, user_id: str) -> Owner:
        """Returns a caller's service with a session or user of its own.

        Raises:
            InvalidRequest: one of them is not 0 to 256 printable ASCII characters.
        """
        violations = [
            Violation(field, CALLER_ID_RULE)
            for field, text in (("session_id", session_id), ("user_id", user_id))
            if text and not CALLER_ID.fullmatch(text)
        ]
        if violations:
            raise InvalidRequest(violations)
        return self._owner(caller.service, user_id, session_id, most_waiting=caller.most_waiting)

    def _owner(
        self,
        service: str,
        user_id: str,
        session: str,
        *,
        sees_all: bool = False,
        most_waiting: int | None = None,
    ) -> Owner:
        hashes = [
            hmac.new(key, session.encode(), hashlib.sha256).digest()
            for key in (self._session_keys if session else ())
        ]
        return Owner(
            service,
            user_id,
            hashes[0] if hashes else None,
            former_session_hashes=tuple(hashes[1:]),
            sees_all=sees_all,
            most_waiting=most_waiting,
        )
