"""Why jobs end and attempts fail, in few words: those of a metric. Pure."""

from google.rpc import code_pb2

from jobsvc.domain.job import JobError
from jobsvc.domain.lapse import Lapse
from jobsvc.domain.outcome import JOB_EXPIRED, OUTCOME_REJECTED, OUTPUT_REJECTED, START_DEADLINE

#: The reasons that errors of ours have. Those of workers may be any number.
OWN_REASONS = frozenset(
    (
        *(lapse.value for lapse in Lapse),
        JOB_EXPIRED.reason,
        START_DEADLINE.reason,
        OUTPUT_REJECTED,
        OUTCOME_REJECTED.reason,
    )
)
_CODES = {number: name for name, number in code_pb2.Code.items()}


def end_reason(error: JobError | None) -> str:
    """Returns the reason of an error if it is one of ours, otherwise the name of its code.

    No error is that of a cancellation.
    """
    if error is None:
        return "CANCELLED"
    return error.reason if error.reason in OWN_REASONS else _CODES.get(error.code, "UNKNOWN")
