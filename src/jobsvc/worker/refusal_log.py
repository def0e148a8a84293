"""What the log of a worker says of refused outcomes and lost leases."""

import logging

from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobsvc.event_log import EventLog
from jobsvc.v1.worker_service_pb2 import LeaseStatus, OutcomeResult
from jobsvc.worker.running_attempt import RunningAttempt

_TOO_LATE = "it does not count; the job runs again elsewhere, or has ended"


class RefusalLog:
    """A line for each, naming job, queue and attempt, and what it means for the job."""

    def __init__(self) -> None:
        self._log = EventLog(logging.getLogger("jobsvc.worker"))
        self.tell_missed = self._log.tell_missed

    def came_too_late(self, result: OutcomeResult, attempt: RunningAttempt | None) -> None:
        """The lease had ended: the outcome is dropped."""
        self._refused(logging.WARNING, "came too late", _TOO_LATE, result, attempt)

    def is_malformed(
        self, result: OutcomeResult, attempt: RunningAttempt | None, is_replaced: bool
    ) -> None:
        """The server cannot take the outcome, ever."""
        means = "a failure is reported instead" if is_replaced else "giving up"
        self._refused(logging.ERROR, "was refused as malformed", means, result, attempt)

    def is_deferred(self, result: OutcomeResult, attempt: RunningAttempt | None) -> None:
        """The server cannot store the outcome just now."""
        self._refused(logging.WARNING, "is not stored yet", "it is sent again", result, attempt)

    def lost(self, status: LeaseStatus, attempt: RunningAttempt) -> None:
        """The lease of a job that runs, or waits here, has ended."""
        lease = attempt.lease
        self._log.tell(
            logging.WARNING,
            "lease_lost",
            "job %s of %s, attempt %d: lease lost: %s; it is stopped here",
            lease.job_id,
            attempt.queue,
            lease.attempt,
            status.reason,
            lease_id=status.lease_id,
            **_fields(attempt),
        )

    def _refused(
        self,
        level: int,
        how: str,
        means: str,
        result: OutcomeResult,
        attempt: RunningAttempt | None,
    ) -> None:
        status = result.status
        reason = _reason(status)
        lease = None if attempt is None else attempt.lease
        self._log.tell(
            level,
            f"outcome_{reason.lower()}",
            "job %s of %s, attempt %d: its outcome %s (%s: %s); %s",
            "unknown" if lease is None else lease.job_id,
            "unknown" if lease is None else lease.queue,
            0 if lease is None else lease.attempt,
            how,
            reason,
            status.message,
            means,
            lease_id=result.lease_id,
            reason=reason,
            **_fields(attempt),
        )


def _fields(attempt: RunningAttempt | None) -> dict[str, object]:
    if attempt is None:
        return {}
    lease = attempt.lease
    return {"job_id": lease.job_id, "queue": lease.queue, "attempt": lease.attempt}


def _reason(status: status_pb2.Status) -> str:
    """The reason of a refusal; without one, the name of its code."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            return str(info.reason)
    return str(code_pb2.Code.Name(status.code))
