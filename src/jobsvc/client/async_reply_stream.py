"""A stream of replies for asyncio, which notices when it has gone silent, or is old."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

import grpc
from grpc import aio

from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import stream_silent
from jobsvc.client.long_calls import StreamAged

R = TypeVar("R")


class AsyncReplyStream(Generic[R]):
    """Reads `call`, for `age_seconds`. After a failed read a stream is of no more use; close it.

    `release` is called at its end.
    """

    # Any: the type of the request, which plays no part here.
    def __init__(
        self,
        call: aio.UnaryStreamCall[Any, R],
        silence_seconds: float,
        age_seconds: float,
        target: str,
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self._call = call
        self._silence_seconds = silence_seconds
        self._target = target
        self._release = release
        self._time = asyncio.get_running_loop().time
        self._old_at = self._time() + age_seconds
        self._answered = False

    async def read(self) -> R | None:
        """Waits for the next message; returns None when the server has ended the stream.

        Raises:
            CallFailed: the stream broke or fell silent.
            StreamAged: it should be opened again.
        """
        young_seconds = self._old_at - self._time()
        try:
            async with asyncio.timeout(min(self._silence_seconds, young_seconds)):
                response = await self._call.read()
        except TimeoutError:
            # A server that never answers is away, however short the age is.
            if self._answered and young_seconds < self._silence_seconds:
                raise StreamAged from None
            raise stream_silent(self._silence_seconds) from None
        except grpc.RpcError as error:
            raise read_failure(error, self._target) from error
        self._answered = True
        # A cast: the type checker cannot tell a sentinel from the rest by `is`.
        return None if response is aio.EOF else cast(R, response)

    async def close(self) -> None:
        """Ends the call."""
        self._call.cancel()
        await self._release()
