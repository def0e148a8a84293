"""The `processor` decorator: binds a function to a queue, and sets options of that queue."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import update_wrapper
from types import ModuleType
from typing import Generic, ParamSpec, TypeVar

from jobsvc.worker.duration import Seconds

P = ParamSpec("P")
R = TypeVar("R")

#: Names of queues, as the contract defines them.
_QUEUE = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


class ProcessorInvalid(Exception):
    """A processor cannot be used as it is written. The text names the processor and says why."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed attempts of a queue are retried; unset fields keep the server's default.

    `max_attempts` counts the first attempt too, so 1 means no retry. The wait
    before a retry grows from `initial_backoff` to `max_backoff` (seconds or
    timedelta), by `backoff_multiplier` each time.
    """

    max_attempts: int = 0
    initial_backoff: Seconds | None = None
    max_backoff: Seconds | None = None
    backoff_multiplier: float = 0.0


class Processor(Generic[P, R]):
    """A function that works on the jobs of one queue. Can still be called as that function."""

    def __init__(
        self,
        function: Callable[P, R],
        queue: str,
        *,
        max_leases: int = 0,
        attempt_timeout: Seconds | None = None,
        retry: RetryPolicy | None = None,
        lease_duration: Seconds | None = None,
    ) -> None:
        if not _QUEUE.fullmatch(queue):
            raise ProcessorInvalid(
                f"{queue!r} cannot be the name of a queue: up to 63 lower-case letters, digits and"
                " hyphens, a letter first and no hyphen last"
            )
        self.function = function
        self.queue = queue
        self.max_leases = max_leases
        self.attempt_timeout = attempt_timeout
        self.retry = retry
        self.lease_duration = lease_duration
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<processor {self.name} of {self.queue}>"

    @property
    def name(self) -> str:
        """Module and name of the function, for people."""
        return f"{self.function.__module__}.{self.function.__qualname__}"


#: A processor with any input and output.
AnyProcessor = Processor[..., object]


def processor(
    queue: str,
    *,
    max_leases: int = 0,
    attempt_timeout: Seconds | None = None,
    retry: RetryPolicy | None = None,
    lease_duration: Seconds | None = None,
) -> Callable[[Callable[P, R]], Processor[P, R]]:
    """Makes a function the processor of `queue`.

    The function takes the input (a dataclass, msgspec.Struct, TypedDict, dict
    or pydantic model) and optionally a `Context`; it returns the output, of the same types,
    or None for the empty object. An `async def` runs on an event loop, a plain
    `def` in a thread. docs/reference/formats.md has the types of fields. A key
    that the input's class does not name is refused at the door, unless the
    class is marked by `allow_unknown_keys`.

    A worker that starts declares these options, and the schemas of input and
    output, to the server as the queue's contract; options that are not given
    stay as they are on the server. Lengths of time are seconds or timedelta.

    Args:
        queue: name of the queue.
        max_leases: maximum of jobs of this queue that a worker holds at a time;
            0 leaves the limit to the worker's window.
        attempt_timeout: longest run of one attempt.
        retry: how failed attempts are retried.
        lease_duration: how long a job stays with a worker that has died.

    Raises:
        ProcessorInvalid: `queue` cannot be the name of a queue.
    """

    def mark(function: Callable[P, R]) -> Processor[P, R]:
        return Processor(
            function,
            queue,
            max_leases=max_leases,
            attempt_timeout=attempt_timeout,
            retry=retry,
            lease_duration=lease_duration,
        )

    return mark


def collect(sources: Iterable[ModuleType | AnyProcessor]) -> list[AnyProcessor]:
    """Returns the processors among `sources` and in the namespaces of its modules, each once.

    Raises:
        ProcessorInvalid: a module has no processor, or a queue has two.
    """
    by_queue: dict[str, AnyProcessor] = {}
    for source in sources:
        found = (
            [source]
            if isinstance(source, Processor)
            else [value for value in vars(source).values() if isinstance(value, Processor)]
        )
        if not found:
            raise ProcessorInvalid(
                f"module {getattr(source, '__name__', source)} has no processor;"
                ' mark a function with @processor("queue")'
            )
        for candidate in found:
            present = by_queue.setdefault(candidate.queue, candidate)
            if present is not candidate:
                raise ProcessorInvalid(
                    f"queue {candidate.queue} has two processors:"
                    f" {present.name} and {candidate.name}"
                )
    if not by_queue:
        raise ProcessorInvalid("a worker needs at least one processor")
    return list(by_queue.values())
