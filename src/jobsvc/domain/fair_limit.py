"""How much each caller may hold of what all callers share, so that one cannot leave none to the
others. No I/O."""

from dataclasses import dataclass
from typing import Self

#: Each of so many callers has a share that is kept for it, whatever the others hold.
CALLERS = 8


@dataclass(frozen=True, slots=True)
class FairLimit:
    """A limit with a reserve. What is beyond the reserve goes to whoever asks; the reserve goes to
    callers that hold no more than their share.

    So a caller that is alone gets `limit - reserve`, and up to `reserve / share` callers are never
    refused what they hold below their share: what callers hold above it never enters the reserve.
    """

    #: The most that all callers hold together.
    limit: int
    reserve: int
    #: The most that a caller holds out of the reserve.
    share: int

    @classmethod
    def reserving(cls, limit: int, percent: int) -> Self:
        """A limit that keeps `percent` of itself in reserve, for `CALLERS` callers."""
        reserve = limit * percent // 100
        return cls(limit, reserve, max(reserve // CALLERS, 1))

    def admits(self, held: int, held_by_all: int, amount: int = 1) -> bool:
        """Whether a caller that holds `held`, of what all callers hold together, may take `amount`
        more."""
        after = held_by_all + amount
        return after <= self.limit - self.reserve or (
            after <= self.limit and held + amount <= self.share
        )


class Holdings:
    """What each caller holds of what a limit is for."""

    def __init__(self, limit: FairLimit) -> None:
        self.limit = limit
        #: What all callers hold together.
        self.total = 0
        #: The most that they held together; whoever reads it may set it back.
        self.peak = 0
        self._held: dict[str, int] = {}

    def of(self, caller: str) -> int:
        """What a caller holds."""
        return self._held.get(caller, 0)

    def take(self, caller: str, amount: int = 1, most: int | None = None) -> bool:
        """Adds to what a caller holds, if the limit admits it, and `most`, the caller's own limit;
        says whether it does. Of its own, a caller that holds nothing may take any amount."""
        held = self._held.get(caller, 0)
        if not self.limit.admits(held, self.total, amount):
            return False
        if most is not None and held and held + amount > most:
            return False
        self._held[caller] = held + amount
        self.total += amount
        self.peak = max(self.peak, self.total)
        return True

    def add(self, caller: str, amount: int) -> None:
        """Adds to what a caller holds, or subtracts from it, whatever the limit says."""
        self.total += amount
        held = self._held.get(caller, 0) + amount
        if held:
            self._held[caller] = held
        else:
            self._held.pop(caller, None)
