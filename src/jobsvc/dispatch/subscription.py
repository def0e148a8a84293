"""Subscription: from which queues a worker takes jobs, how many, and how many it holds. Pure."""

from dataclasses import dataclass, field

#: A worker with this much input that has not been sent, or is being leased, gets no more.
MAX_UNSENT_SIZE = 8 << 20


@dataclass(eq=False, slots=True)
class Subscription:
    """From which queues a worker takes jobs, and how many at a time.

    `limits` has the queues in the worker's order, each with the maximum number
    of its leases to hold (0 for no limit of its own).
    """

    worker_id: str
    limits: dict[str, int]
    window: int
    lease_seconds: float | None = None
    held: int = 0
    reserved: int = 0
    held_of: dict[str, int] = field(default_factory=dict)
    reserved_of: dict[str, int] = field(default_factory=dict)
    #: Characters of the inputs that wait to be sent, and expected characters of those being leased.
    unsent_size: int = 0
    reserved_size: int = 0
    #: Whether a job has waited too long to be sent; until a frame is.
    is_stuck: bool = False
    #: Whether this is a unary call that waits, and not the stream of a worker.
    unary: bool = False

    def capacity(self, queue: str) -> int:
        """How many more leases of a queue the worker would take now."""
        if self.is_behind:
            return 0
        capacity = self.window - self.held - self.reserved
        limit = self.limits[queue]
        if limit:
            used = self.held_of.get(queue, 0) + self.reserved_of.get(queue, 0)
            capacity = min(capacity, limit - used)
        return max(capacity, 0)

    @property
    def is_behind(self) -> bool:
        """Whether so much waits to be sent, or for so long, that the worker must get no more."""
        return self.is_stuck or self.unsent_size + self.reserved_size >= MAX_UNSENT_SIZE

    def hold(self, queue: str, count: int) -> None:
        """Adds leases that were dealt; a negative count removes those that have ended."""
        self.held += count
        self.held_of[queue] = self.held_of.get(queue, 0) + count

    def reserve(self, queue: str, count: int) -> None:
        """Reserves capacity for the leases that a claim may bring; a negative count releases it."""
        self.reserved += count
        self.reserved_of[queue] = self.reserved_of.get(queue, 0) + count
