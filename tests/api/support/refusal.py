"""The status of a call that was refused, with its `google.rpc` details taken apart."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

#: All kinds of details that the server sends.
_KINDS = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.ResourceInfo,
    error_details_pb2.PreconditionFailure,
    error_details_pb2.QuotaFailure,
    error_details_pb2.RetryInfo,
)


@dataclass(frozen=True)
class Refusal:
    """A status other than OK. `details` has each detail by the name of its message."""

    code: grpc.StatusCode
    message: str
    details: dict[str, Any]

    @property
    def reason(self) -> str:
        """The reason of the ErrorInfo, whose domain must be ours; empty without one."""
        info = self.details.get("ErrorInfo")
        if info is None:
            return ""
        assert info.domain == "jobsvc"
        return str(info.reason)

    @property
    def metadata(self) -> dict[str, str]:
        """The facts of the ErrorInfo."""
        return dict(self.details["ErrorInfo"].metadata)

    @property
    def fields(self) -> list[str]:
        """The paths that a BadRequest names."""
        return [v.field for v in self.details["BadRequest"].field_violations]

    @property
    def what(self) -> tuple[grpc.StatusCode, str]:
        """Code and reason."""
        return self.code, self.reason


async def refused(call: Awaitable[Any]) -> Refusal:
    """How `call` is refused. Fails when it is answered."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return refusal(caught.value)


def refusal(error: aio.AioRpcError) -> Refusal:
    """The status of a failed call. Fails when code or message differ from the status in details."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status()
    status.ParseFromString(trailers.get("grpc-status-details-bin", b""))
    if status.ByteSize():
        assert (status.code, status.message) == (error.code().value[0], error.details())
    return Refusal(error.code(), error.details() or "", details_of(status))


def details_of(status: status_pb2.Status) -> dict[str, Message]:
    """Each detail of a status by the name of its message."""
    found: dict[str, Message] = {}
    for packed in status.details:
        for kind in _KINDS:
            detail = kind()
            if packed.Unpack(detail):
                found[kind.DESCRIPTOR.name] = detail
    assert len(found) == len(status.details), "every detail is of a known kind, and comes once"
    return found
