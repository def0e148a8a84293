"""The one list of options that a job, its queue and the server may each set. Pure."""

from typing import Any

import msgspec
from msgspec.structs import astuple

from jobsvc.settings import Settings

#: Options without a default of the server: a job may leave them open for good. `retention_seconds`
#: is one because its default depends on how the job ends.
OPTIONAL = frozenset({"retention_seconds", "start_within_seconds"})


class RunPolicy(msgspec.Struct, frozen=True):
    """How jobs run; None leaves an option open. Seconds throughout, as in the contract: `JobSpec`.

    The database has a column for each field, of the same name without `_seconds`, in this order;
    `api/convert/run_policy.py` has a row for each.
    """

    max_attempts: int | None = None
    initial_backoff_seconds: float | None = None
    max_backoff_seconds: float | None = None
    backoff_multiplier: float | None = None
    attempt_timeout_seconds: float | None = None
    retention_seconds: float | None = None
    start_within_seconds: float | None = None

    def over(self, other: "RunPolicy") -> "RunPolicy":
        """This policy, completed by `other` where it leaves an option open."""
        pairs: Any = zip(astuple(self), astuple(other), strict=True)
        return RunPolicy(*[theirs if own is None else own for own, theirs in pairs])


def server_defaults(settings: Settings) -> RunPolicy:
    """The policy for everything that neither job nor queue sets."""
    names = (name for name in RunPolicy.__struct_fields__ if name not in OPTIONAL)
    return RunPolicy(**{name: getattr(settings, name) for name in names})
