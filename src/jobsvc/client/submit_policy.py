"""When a client creates jobs on a stream. Pure."""

from collections.abc import Mapping

from jobsvc.client.errors import CallFailed
from jobsvc.client.unconfirmed_jobs import MAX_BYTES
from jobsvc.v1.job_service_pb2 import CreateJobRequest

#: `off` in this environment variable: each job is a call of its own.
VARIABLE = "JOBSVC_CLIENT_SUBMIT"


class SubmitPolicy:
    """A first creation may be the only one, and is a call of its own; the others share a stream, as
    long as the server, and what is in between, carries it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._works = environment.get(VARIABLE) != "off"
        self._has_begun = False

    def begin(self, request: CreateJobRequest) -> bool:
        """Notes that a creation begins, and says whether it goes on the stream."""
        on_stream = (
            self._works
            and self._has_begun
            and not request.validate_only
            # Who refuses its size must not end the stream of the others.
            and request.ByteSize() <= MAX_BYTES // 2
        )
        self._has_begun = True
        return on_stream

    def broke(self, failure: CallFailed) -> None:
        """Notes that the stream broke. Older servers do not know it, and some proxies bound what is
        sent on one: then it is not tried again. One that outlived its token works with the next."""
        if not failure.transient and failure.code != "UNAUTHENTICATED":
            self._works = False


def is_repeated(failure: CallFailed) -> bool:
    """Whether a creation that failed on the stream is made again by a call of its own, which waits
    as the server asks, and shows a token of its own."""
    return failure.code in ("UNAVAILABLE", "UNAUTHENTICATED") or (
        failure.code == "RESOURCE_EXHAUSTED" and failure.transient
    )
