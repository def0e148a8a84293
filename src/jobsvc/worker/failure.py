"""Converts an exception of a processor to the outcome of its attempt. Pure.

The class of the exception is the developer's, so whatever asks it for something may
raise anything. Nothing here does: what cannot be described is reported as that.
"""

import re
import traceback
from asyncio import CancelledError

from google.rpc import code_pb2

from jobsvc.domain.limits import MAX_ERROR_CHARACTERS, MAX_TRACE_CHARACTERS
from jobsvc.v1.job_pb2 import JobError
from jobsvc.v1.worker_service_pb2 import JobOutcome
from jobsvc.worker.outcome import Cancelled, Ending, Fail, Release, Retry, clean, failed, released

#: Ends each text that stands for what an exception would not tell.
UNDESCRIBED = "cannot be described"

#: First match wins; any other exception is UNKNOWN, which is tried again, as most
#: of these are: only the processor knows whether a ValueError is permanent, and
#: raises Fail then.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (TimeoutError, code_pb2.DEADLINE_EXCEEDED),
    (OSError, code_pb2.UNAVAILABLE),
    (MemoryError, code_pb2.RESOURCE_EXHAUSTED),
    (NotImplementedError, code_pb2.UNIMPLEMENTED),
    (CancelledError, code_pb2.CANCELLED),
    (Cancelled, code_pb2.CANCELLED),
)
#: Reads the name of a class; a metaclass may hide it.
_NAME = type.__dict__["__name__"]
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def outcome_of(lease_id: str, exception: BaseException) -> JobOutcome:
    """Returns the outcome of an attempt whose processor raised `exception`.

    Retry, Fail and Release say themselves how the attempt ends. Any other
    exception, SystemExit and KeyboardInterrupt included, is a failure of this
    attempt, retried unless its code is permanent. So is one that cannot be described.
    """
    try:
        return _outcome_of(lease_id, exception)
    except BaseException:
        name = type_name(exception)
        text = clean(f"{name} {UNDESCRIBED}", MAX_ERROR_CHARACTERS)
        reason = upper_snake(name) or "EXCEPTION"
        error = JobError(code=code_pb2.UNKNOWN, reason=reason, message=text, stack_trace=text)
        return failed(lease_id, error)


def describe(exception: BaseException) -> str:
    """Returns the name of its class and its text."""
    return f"{type_name(exception)}: {text_of(exception)}"


def text_of(exception: BaseException) -> str:
    """Returns its text; the name of its class if it has none."""
    try:
        if isinstance(exception, SystemExit):
            return f"the processor called sys.exit({exception.code!r})"
        # `join` makes a plain text of one whose class is the developer's too.
        return "".join((str(exception),)) or type_name(exception)
    except BaseException:
        return f"{type_name(exception)} {UNDESCRIBED}"


def type_name(exception: BaseException) -> str:
    """Returns the name of its class, whatever that class says."""
    return str(_NAME.__get__(type(exception)))


def _outcome_of(lease_id: str, exception: BaseException) -> JobOutcome:
    exception = _only_leaf(exception)
    if isinstance(exception, Release):
        return released(lease_id, exception.delay_seconds or 0.0, exception.reason)
    if isinstance(exception, Retry | Fail):
        error = error_of(exception, exception.code)
        return failed(lease_id, error, isinstance(exception, Retry), exception.delay_seconds)
    return failed(lease_id, error_of(exception, _code(exception)))


def error_of(exception: BaseException, code: int) -> JobError:
    """Returns the error that describes `exception`, all texts within the contract's bounds."""
    return JobError(
        code=code,
        reason=_reason(exception),
        message=clean(text_of(exception), MAX_ERROR_CHARACTERS),
        stack_trace=_stack_trace(exception),
    )


def job_error(code: int, reason: str, message: str) -> JobError:
    """Returns an error that the worker itself found."""
    return JobError(
        code=code,
        reason=reason,
        message=clean(message, MAX_ERROR_CHARACTERS),
    )


def upper_snake(name: str) -> str:
    """Returns `name` as a reason: HTTP_ERROR for `HTTPError`; empty if that is impossible.

    The contract: `^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$`.
    """
    spaced = _WORD_START.sub("_", name)
    snake = re.sub(r"[^A-Z0-9]+", "_", spaced.upper()).strip("_")[:63].rstrip("_")
    return snake if _REASON.fullmatch(snake) else ""


def _only_leaf(exception: BaseException) -> BaseException:
    # A Fail that is raised in the processor's own TaskGroup comes wrapped.
    while isinstance(exception, BaseExceptionGroup) and len(exception.exceptions) == 1:
        exception = exception.exceptions[0]
    return exception


def _code(exception: BaseException) -> int:
    return next((code for kind, code in _CODES if isinstance(exception, kind)), code_pb2.UNKNOWN)


def _reason(exception: BaseException) -> str:
    if isinstance(exception, Ending):
        if exception.reason:
            return upper_snake(exception.reason)
        if type(exception) in (Retry, Fail):
            return ""
    return upper_snake(type_name(exception)) or "EXCEPTION"


def _stack_trace(exception: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(exception))
    except BaseException:
        # For example a SyntaxError with a text as its column, or a cause that raises.
        text = f"{type_name(exception)}: the stack trace {UNDESCRIBED}"
    # Cut at the front: the end of a trace names the error.
    return clean(text, len(text))[-MAX_TRACE_CHARACTERS:]
