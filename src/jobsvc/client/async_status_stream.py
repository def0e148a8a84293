"""One connection of `AsyncClient.follow`: a stream that notices when it has gone silent."""

import asyncio

import grpc
from grpc import aio

from jobsvc.client.error_details import read_failure
from jobsvc.client.following import Following
from jobsvc.v1.job_service_pb2 import StreamJobStatusRequest, StreamJobStatusResponse

StreamCall = aio.UnaryStreamCall[StreamJobStatusRequest, StreamJobStatusResponse]


class AsyncStatusStream:
    """Reads `call`. After a failed read it is of no more use; close it."""

    def __init__(self, call: StreamCall, following: Following) -> None:
        self._call = call
        self._following = following

    async def read(self) -> StreamJobStatusResponse:
        """Waits for the next message.

        Raises:
            CallFailed: the stream broke, fell silent, or ended too soon.
        """
        try:
            async with asyncio.timeout(self._following.silence_seconds):
                response = await self._call.read()
        except TimeoutError:
            raise self._following.silent() from None
        except grpc.RpcError as error:
            raise read_failure(error) from error
        if not isinstance(response, StreamJobStatusResponse):
            raise self._following.ended_early()
        return response

    def close(self) -> None:
        """Gives the call back."""
        self._call.cancel()
