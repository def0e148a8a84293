"""Writing to a stream that the server may have ended already."""

import asyncio
from contextlib import suppress
from typing import Any

from grpc._cython import cygrpc
from grpc.aio import AioRpcError


async def write(call: Any, message: Any) -> None:
    """Sends a message on a call of `grpc.aio`. If the server has ended the stream, the next read
    says how.

    `call.write` would put a status of its own, INTERNAL, in the place of the server's
    (findings/grpc-aio-write-hides-why-a-stream-was-refused.sh), so this goes below it.
    """
    with suppress(AioRpcError):
        await call.wait_for_connection()
    encode = call._request_serializer
    data = message if encode is None else encode(message)
    with suppress(cygrpc.InternalError, asyncio.InvalidStateError):
        await call._cython_call.send_serialized_message(data)
