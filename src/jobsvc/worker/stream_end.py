"""Why a stream ended, and whether another one can help. Pure."""

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2

from jobsvc.call_status import CallStatus, read_status
from jobsvc.worker.duration import from_duration

#: Codes that another try would meet again.
_FATAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.ABORTED,
    }
)


class WorkerStopped(Exception):
    """The worker cannot go on. The text says why, in one line."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How a stream, or the opening of one, ended. `code` is OK if the server ended it in order."""

    code: grpc.StatusCode
    message: str
    #: The server said so; otherwise gRPC, or a proxy on the way.
    is_answer: bool = False
    #: When the server, which has no room just now, wants to be asked again; 0: at any time.
    retry_seconds: float = 0.0

    @property
    def fatal(self) -> bool:
        """Whether a new stream would end the same way."""
        return self.code in _FATAL

    @property
    def broke(self) -> bool:
        """Whether it ended without a word from the server."""
        return self.code is not grpc.StatusCode.OK and not self.is_answer

    def describe(self, target: str, proxy: str = "") -> str:
        """Returns one line for people; `proxy` is a remark on the way to the server."""
        text = " ".join(self.message.split())
        match self.code:
            case grpc.StatusCode.UNIMPLEMENTED:
                return f"{target} does not offer jobsvc.v1.WorkerService: {text}"
            case grpc.StatusCode.ABORTED:
                return f"another process took over this worker's id: {text}"
            case grpc.StatusCode.ALREADY_EXISTS:
                return (
                    f"another process works at {target} under the worker_id of this one: make the"
                    f" Worker in the process that runs it, not before a fork ({text})"
                )
            case grpc.StatusCode.UNAVAILABLE:
                remark = "" if self.is_answer else proxy
                return f"{target} is not available: {text}{remark}"
            case grpc.StatusCode.INVALID_ARGUMENT:
                return f"{target} refused what this worker sent: {text}"
            case _:
                return f"{target} answered {self.code.name}: {text}"


def end_of(error: grpc.aio.AioRpcError) -> StreamEnd:
    """Returns the end that gRPC reports."""
    return as_end(read_status(error.code(), error.details() or "", error.trailing_metadata()))


def as_end(status: CallStatus) -> StreamEnd:
    """Returns the end of a call as that of a stream."""
    return StreamEnd(
        status.code,
        status.message or status.code.name,
        status.info is not None,
        _retry_seconds(status),
    )


def _retry_seconds(status: CallStatus) -> float:
    # Of a server that is UNAVAILABLE another replica may take the stream, at once.
    retry = error_details_pb2.RetryInfo()
    if status.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        for detail in status.status.details:
            if detail.Unpack(retry):
                return from_duration(retry.retry_delay)
    return 0.0
