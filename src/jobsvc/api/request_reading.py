"""Reads the requests of calls, when there is room for them."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from grpc import aio

from jobsvc.api.admission import FREE_READS, Admission
from jobsvc.api.byte_budget import REQUEST_SECONDS, SMALL_BYTES, Charge
from jobsvc.api.convert.request_checks import UNDECODABLE
from jobsvc.api.large_message import decode_message
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.methods import Method

Context = aio.ServicerContext[Any, Any]


class RequestReading:
    """Reads requests, few at a time."""

    def __init__(self, admission: Admission) -> None:
        self._budget = admission.reading
        self._max_request_bytes = admission.max_request_bytes
        #: Requests that are being read, or wait for that.
        self._reads = 0

    async def read(
        self, method: Method, decode: Any, context: Context, charge: Charge, answer_bytes: int = 0
    ) -> Any:
        """Reads and decodes the request of a call, whose answer may have `answer_bytes`.

        Raises:
            RateLimited: there is no room for it.
            InvalidRequest: it cannot be decoded.
        """
        if method.large_requests:
            await charge.reserve(self._max_request_bytes, REQUEST_SECONDS)
            data = await context.read()
        else:
            self._reads += 1
            try:
                if self._reads <= FREE_READS:
                    data = await context.read()
                else:
                    data = await self._read_in_turn(context, charge)
            finally:
                self._reads -= 1
        if data is aio.EOF:
            raise InvalidRequest([Violation("request", "is missing")])
        if method.large_requests:
            charge.settle(len(data) + answer_bytes)
        elif len(data) > SMALL_BYTES:
            charge.take(len(data))
        try:
            return await decode_message(decode, data)
        except DecodeError:
            raise InvalidRequest([Violation("request", UNDECODABLE)]) from None

    async def _read_in_turn(self, context: Context, charge: Charge) -> Any:
        """Reads a request, of whatever size, while others are read."""
        reading = charge.beside(self._budget)
        await reading.reserve(self._max_request_bytes, REQUEST_SECONDS)
        try:
            return await context.read()
        finally:
            reading.close()
