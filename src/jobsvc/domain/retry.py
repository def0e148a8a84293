"""When a failed job is tried again. Pure: the caller draws the random number."""

import msgspec
from google.rpc import code_pb2

#: Largest share by which a delay is spread either way: jobs that failed together must not come back
#: together.
JITTER = 0.2

#: Codes of errors that another attempt would meet again (contract: `JobError`).
PERMANENT_CODES = frozenset(
    {
        code_pb2.INVALID_ARGUMENT,
        code_pb2.NOT_FOUND,
        code_pb2.ALREADY_EXISTS,
        code_pb2.PERMISSION_DENIED,
        code_pb2.UNAUTHENTICATED,
        code_pb2.FAILED_PRECONDITION,
        code_pb2.OUT_OF_RANGE,
        code_pb2.UNIMPLEMENTED,
        code_pb2.DATA_LOSS,
    }
)


class RetryPolicy(msgspec.Struct, frozen=True):
    """How failed attempts are retried.

    `max_attempts` counts the first attempt too, so 1 means no retry.
    """

    max_attempts: int
    initial_backoff_seconds: float
    max_backoff_seconds: float
    backoff_multiplier: float


def retry_delay_seconds(policy: RetryPolicy, failures: int, spread: float) -> float:
    """The delay before the retry that follows the `failures`-th failure (from 1).

    `initial_backoff * backoff_multiplier^(failures - 1)`, at most `max_backoff`,
    then spread by up to 20 % either way (contract: `RetryPolicy`). `spread` is a
    number from -1 to 1, drawn by the caller; 0 gives the middle.
    """
    try:
        delay = policy.initial_backoff_seconds * policy.backoff_multiplier ** (failures - 1)
    except OverflowError:
        delay = policy.max_backoff_seconds
    return min(delay, policy.max_backoff_seconds) * (1 + JITTER * spread)
