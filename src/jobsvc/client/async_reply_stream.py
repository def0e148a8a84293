"""A stream of replies for asyncio, which notices when it has gone silent."""

import asyncio
from typing import Any, Generic, TypeVar, cast

import grpc
from grpc import aio

from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import stream_silent

R = TypeVar("R")


class AsyncReplyStream(Generic[R]):
    """Reads `call`. After a failed read a stream is of no more use; close it."""

    # Any: the type of the request, which plays no part here.
    def __init__(
        self, call: aio.UnaryStreamCall[Any, R], silence_seconds: float, target: str
    ) -> None:
        self._call = call
        self._silence_seconds = silence_seconds
        self._target = target

    async def read(self) -> R | None:
        """Waits for the next message; returns None when the server has ended the stream.

        Raises:
            CallFailed: the stream broke or fell silent.
        """
        try:
            async with asyncio.timeout(self._silence_seconds):
                response = await self._call.read()
        except TimeoutError:
            raise stream_silent(self._silence_seconds) from None
        except grpc.RpcError as error:
            raise read_failure(error, self._target) from error
        # A cast: the type checker cannot tell a sentinel from the rest by `is`.
        return None if response is aio.EOF else cast(R, response)

    def close(self) -> None:
        """Ends the call."""
        self._call.cancel()
