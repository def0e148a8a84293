"""How much each caller may hold of what all callers share, so that one cannot leave none to the
others. Pure."""

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
