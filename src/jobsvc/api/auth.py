"""Reads the caller from metadata."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from contextvars import ContextVar

from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.owner import CALLER_ID, CALLER_ID_RULE, Owner

Metadata = Iterable[tuple[str, str | bytes]]

#: The caller of the call in progress. The guard sets it for methods whose row says `reads_caller`,
#: in the task that gRPC starts for each call; to read it elsewhere raises LookupError. Handlers get
#: it this way because the contract fixes their arguments.
current_caller: ContextVar[Owner] = ContextVar("current_caller")


class CallerReader:
    """Reads callers from metadata. Session ids leave this class as keyed hashes only."""

    def __init__(self, session_keys: Sequence[bytes]) -> None:
        """What is written has a hash under the first key; hashes under any are known."""
        self._session_keys = session_keys

    def read(self, metadata: Metadata) -> Owner:
        """Returns the caller.

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
        return self._owner("", values.get("x-user-id", ""), values.get("x-session-id", ""))

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
        return self._owner(caller.service, user_id, session_id)

    def _owner(self, service: str, user_id: str, session: str) -> Owner:
        hashes = [
            hmac.new(key, session.encode(), hashlib.sha256).digest()
            for key in (self._session_keys if session else ())
        ]
        return Owner(
            service,
            user_id,
            hashes[0] if hashes else None,
            former_session_hashes=tuple(hashes[1:]),
        )
