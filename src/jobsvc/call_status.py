"""How a call ended, as callers and workers read it. Between them and the server may be a proxy.

Every refusal of jobsvc has an ErrorInfo of its domain among its details. Where it is, the
code in the details counts: HAProxy turns the code of a stream that is refused early into
CANCELLED, and leaves the details as they are. Where it is not, the answer is not from jobsvc:
with a server killed behind a proxy it is INTERNAL (nginx) or UNKNOWN (HAProxy), and means no
more than that the connection broke.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DOMAIN = "jobsvc"
_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}

#: Codes that mean what they say without details: gRPC makes them by itself, also from what a proxy
#: refuses (401, 403, 404).
_TAKEN_AS_THEY_ARE = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
#: gRPC: "Received http2 header with status: 502".
_HTTP_STATUS = re.compile(r"\bhttp2 header with status: (\d{3})\b")
#: What a proxy means by it, with the names of the settings in nginx and HAProxy.
_PROXY_ANSWERS = {
    "413": "a proxy on the way takes no call this large: nginx's client_max_body_size limits all"
    " that is sent in one call",
    "502": "a proxy on the way has no answer from the server: it is away, or nginx's"
    " grpc_buffer_size is smaller than the headers of the answer",
    "503": "a proxy on the way knows no server that is up",
    "504": "a proxy on the way waited too long for the server: nginx's grpc_read_timeout or"
    " HAProxy's timeout server is shorter than the call",
}
_TOO_LARGE = "413"
#: gRPC, where the first bytes that come are the first ones that it sent, `PRI ` of HTTP/2.
_GOT_BACK = "got frame type 32"
_REACHED_ITSELF = (
    "nobody listens there: the system gave that very port to the connection, which reached itself"
)
#: gRPC itself, at either end: "SERVER: Received message larger than max (5000098 vs. 4194304)",
#: "received metadata size exceeds hard limit (value length 20000 vs. 16384)".
_LIMITS_OF_GRPC = ("message larger than max", "metadata size exceeds")


class CallStatus(NamedTuple):
    """The end of a call. Without `info` it is no answer of jobsvc, and UNAVAILABLE unless it says
    what it is."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo | None
    #: All details, `info` among them.
    status: status_pb2.Status


def read_status(
    code: grpc.StatusCode, message: str, trailing: Iterable[tuple[str, str | bytes]]
) -> CallStatus:
    """Returns how a call ended, from what gRPC reports. Pure."""
    status = _read_details(trailing)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == _DOMAIN:
            return CallStatus(
                _CODES.get(status.code, code), status.message or message, info, status
            )
    http = _HTTP_STATUS.search(message)
    if http and http[1] in _PROXY_ANSWERS:
        too_large = http[1] == _TOO_LARGE
        code = grpc.StatusCode.RESOURCE_EXHAUSTED if too_large else grpc.StatusCode.UNAVAILABLE
        message = f"{_PROXY_ANSWERS[http[1]]} (HTTP {http[1]})"
    elif _GOT_BACK in message:
        code, message = grpc.StatusCode.UNAVAILABLE, _REACHED_ITSELF
    elif code not in _TAKEN_AS_THEY_ARE and not _is_limit_of_grpc(code, message):
        message = f"the connection broke ({code.name}: {message})"
        code = grpc.StatusCode.UNAVAILABLE
    return CallStatus(code, message, None, status)


def _is_limit_of_grpc(code: grpc.StatusCode, message: str) -> bool:
    return code is grpc.StatusCode.RESOURCE_EXHAUSTED and any(
        words in message for words in _LIMITS_OF_GRPC
    )


def _read_details(trailing: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    """Returns the status in the trailers; an empty one when it is missing or garbled."""
    for key, value in trailing:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()
