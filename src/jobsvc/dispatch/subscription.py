"""What a worker takes, and how much of that it has. Pure."""

from dataclasses import dataclass, field

#: A worker with so much input that has not been sent, or is being leased, is given no more.
MAX_UNSENT_SIZE = 8 << 20


@dataclass(eq=False, slots=True)
class Subscription:
    """What a worker takes: from which queues, and how much at a time.

    `limits` has the queues in the worker's order, each with the most leases to
    hold of it (0 for no limit of its own).
    """

    worker_id: str
    limits: dict[str, int]
    window: int
    lease_seconds: float | None = None
    held: int = 0
    reserved: int = 0
    held_of: dict[str, int] = field(default_factory=dict)
    reserved_of: dict[str, int] = field(default_factory=dict)
    #: Characters of the inputs that wait to be sent, and those of leases under way, as expected.
    unsent_size: int = 0
    reserved_size: int = 0
    #: Whether something has waited for long to be sent; until something is.
    is_stuck: bool = False
    #: Whether this stands for a call that waits, not for a worker that stays.
    unary: bool = False

    def room(self, queue: str) -> int:
        """How many more leases of a queue it would take now."""
        if self.is_behind:
            return 0
        room = self.window - self.held - self.reserved
        limit = self.limits[queue]
        if limit:
            room = min(room, limit - self.held_of.get(queue, 0) - self.reserved_of.get(queue, 0))
        return max(room, 0)

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be sent, or for so long, that there is to be no more."""
        return self.is_stuck or self.unsent_size + self.reserved_size >= MAX_UNSENT_SIZE

    def hold(self, queue: str, count: int) -> None:
        """Counts leases that were taken (or, negative, that have ended)."""
        self.held += count
        self.held_of[queue] = self.held_of.get(queue, 0) + count

    def reserve(self, queue: str, count: int) -> None:
        """Counts leases that a claim may bring (or, negative, that it has brought or not)."""
        self.reserved += count
        self.reserved_of[queue] = self.reserved_of.get(queue, 0) + count
