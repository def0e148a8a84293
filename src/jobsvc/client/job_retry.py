"""How failed attempts are retried, as a caller writes it for a job or a queue."""

from dataclasses import dataclass

from jobsvc.client.duration import Duration


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed attempts are retried. A field that is None takes the default of the queue.

    `max_attempts` counts the first attempt too. The delay before retry n is
    `initial_backoff * backoff_multiplier ** (n - 1)`, at most `max_backoff`,
    spread by up to 20 percent either way.
    """

    max_attempts: int | None = None
    initial_backoff: Duration | None = None
    max_backoff: Duration | None = None
    backoff_multiplier: float | None = None
