"""Decodes the frames that a worker sends."""

from google.protobuf.message import DecodeError

from jobsvc.api.convert.request_checks import UNDECODABLE
from jobsvc.api.large_message import decode_message
from jobsvc.domain.errors import WorkProtocolViolation
from jobsvc.v1 import worker_service_pb2 as pb


async def decode_frame(data: bytes) -> pb.WorkRequest:
    """Returns the frame.

    Raises:
        WorkProtocolViolation: it cannot be decoded.
    """
    try:
        return await decode_message(pb.WorkRequest.FromString, data)
    except DecodeError:
        raise WorkProtocolViolation(f"the frame {UNDECODABLE}") from None
