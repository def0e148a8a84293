"""Dead rows: when a table is vacuumed again, and whose old snapshot makes that useless. Pure."""

from math import inf
from typing import NamedTuple

#: The least time between two vacuums of a table by one replica.
INTERVAL_SECONDS = 1.0
#: The longest wait after vacuums that removed little.
MAX_WAIT_SECONDS = 30.0


class DirtyTable(NamedTuple):
    """A table with many dead rows."""

    name: str
    dead_rows: int
    #: Whether this role may vacuum it.
    may_vacuum: bool


class HorizonHolder(NamedTuple):
    """Who may still see rows that are dead for all others: none of them can be removed before."""

    #: `session`, `standby`, `prepared` or `slot`.
    kind: str
    pid: int | None
    #: Of the application, the prepared transaction or the slot.
    name: str
    role: str | None
    state: str | None
    #: Age of the transaction; None for a standby and a slot.
    seconds: float | None
    #: The oldest transaction that it keeps.
    xid: str

    def describe(self) -> str:
        """Returns who it is, and for how long, in words."""
        match self.kind:
            case "session":
                who = f"the transaction of pid {self.pid} ({self.name or 'no application name'},"
                who += f" role {self.role}, {self.state})"
            case "standby":
                who = f"the standby {self.name} by its feedback (pid {self.pid})"
            case "prepared":
                who = f"the prepared transaction {self.name} (role {self.role})"
            case _:
                who = f"the {self.state} replication slot {self.name}"
        return who if self.seconds is None else f"{who}, {self.seconds:.0f} s old"


class VacuumPace:
    """How often a table is vacuumed. All times are seconds of one clock.

    `horizon` names the oldest transaction that may still see dead rows, None if none is known.
    Until it changes, another vacuum could only remove what the last one did.
    """

    def __init__(self) -> None:
        self._last = -inf
        self._horizon: str | None = None
        self._futile = 0

    @property
    def is_futile(self) -> bool:
        """Whether the last vacuum left most dead rows in place."""
        return self._futile > 0

    def is_due(self, horizon: str | None, now: float) -> bool:
        """Whether the table may be vacuumed at `now`."""
        is_same = self._futile and horizon == self._horizon
        wait = INTERVAL_SECONDS * (1 << min(self._futile, 10)) if is_same else INTERVAL_SECONDS
        return now - self._last >= min(wait, MAX_WAIT_SECONDS)

    def vacuumed(self, dead_before: int, dead_after: int, horizon: str | None, now: float) -> None:
        """Records what a vacuum has changed."""
        self._futile = self._futile + 1 if 2 * dead_after > dead_before else 0
        self._last, self._horizon = now, horizon
