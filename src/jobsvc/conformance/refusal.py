"""How a call is ended, as jobsvc or as a proxy ends it."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from jobsvc.worker.duration import to_duration

Trailers = tuple[tuple[str, bytes], ...]


class Abortable(Protocol):
    """The part of gRPC's context by which a call is ended."""

    def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: Trailers
    ) -> Awaitable[NoReturn]:
        """Ends the call by raising."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status. Without a `reason` it has no details, and so is not from jobsvc."""

    code: grpc.StatusCode
    reason: str = ""
    retry_seconds: float | None = None
    #: The code on the wire, where a proxy has changed it.
    sent_as: grpc.StatusCode | None = None

    @property
    def text(self) -> str:
        """The message, for people."""
        return f"the conformance kit answers {self.reason or self.code.name}"

    def status(self) -> status_pb2.Status:
        """Returns the status with its details."""
        status = status_pb2.Status(code=self.code.value[0], message=self.text)
        status.details.add().Pack(error_details_pb2.ErrorInfo(domain="jobsvc", reason=self.reason))
        if self.retry_seconds is not None:
            delay = to_duration(self.retry_seconds)
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        return status

    def trailers(self) -> Trailers:
        """Returns the details as gRPC carries them; none without a reason."""
        if not self.reason:
            return ()
        return (("grpc-status-details-bin", self.status().SerializeToString()),)

    async def end(self, context: Abortable) -> NoReturn:
        """Ends a call."""
        await context.abort(self.sent_as or self.code, self.text, self.trailers())


#: A connection that broke.
BROKEN = Refusal(grpc.StatusCode.UNAVAILABLE)
#: A server that is about to exit.
DRAINING = Refusal(grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", retry_seconds=0.2)

#: Codes by their numbers.
CODES = {code.value[0]: code for code in grpc.StatusCode}
