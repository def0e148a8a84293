"""One entry of the audit: who made which call, about what, and what came of it. Pure."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime

#: The outcome of a call that did what it asked for.
OK = "OK"
#: The outcome of a call that its caller gave up: it may have done so.
CANCELLED = "CANCELLED"
#: The outcome of a call whose caller lacks a role.
ROLE_REQUIRED = "ROLE_REQUIRED"
#: What `jobsvc keys` does in the database, without a server: noted as if they were methods.
KEY_METHODS = ("CreateKey", "RevokeKey")

_MAX_TARGET = 300


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A call, or several alike that were refused."""

    #: The service that the caller has proved to be; empty without authentication. Of
    #: `KEY_METHODS`, `database:` and the role that was connected.
    identity: str
    #: The user that it named; empty if it named none.
    user_id: str
    #: Its address, without a port.
    peer: str
    #: As in the contract, `CancelJob` for example; or one of `KEY_METHODS`.
    method: str
    #: The job, queue, worker, bulk operation or key; empty if it is not known.
    target: str
    #: `OK`, `CANCELLED`, or the reason of the refusal.
    outcome: str
    trace_id: str
    _: KW_ONLY
    calls: int = 1
    #: By the clock of the database; None before it is written.
    time: datetime | None = None

    @property
    def kind(self) -> str:
        """Equal for refusals that are of one kind: the same caller, method and reason."""
        return "\n".join((self.identity, self.peer, self.method, self.outcome))


def storable(target: str) -> str:
    """Returns what a request named as something that the table takes, whatever it is."""
    return target.replace("\0", "")[:_MAX_TARGET]
