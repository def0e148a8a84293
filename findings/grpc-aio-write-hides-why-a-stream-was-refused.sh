#!/usr/bin/env bash
# One would guess: a stream that the server refuses at once tells the asyncio client why, whether the
# client reads first or writes first, as a call with one request does.
#
# True (grpcio 1.85.1): who reads first always gets the server's status. Who writes first mostly gets
# `INTERNAL: Internal error from Core` in its place, sometimes the true status, and sometimes
# asyncio.InvalidStateError, after which `code()` has it. The same call ends in three ways.
#
# Source: `_StreamRequestMixin._write` in grpc/aio/_call.py gives the call a status of its own when a
# message cannot be sent, also when the one of the server is there already; known as grpc/grpc#36066.
#
# Why it matters: workers that subscribe, and callers that create jobs, begin a stream with a write.
# A worker whose token is wrong, or whose server is too old for the method, hears of an internal
# error, takes it for a broken connection and connects again for ever. Read before the first write:
# have the server speak first.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
"$dir/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$dir/seen"
import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc import aio

CALLS = 200


def refuse(requests, context):
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "no such right")
    yield b""


async def outcome(channel, first):
    call = channel.stream_stream("/demo.Jobs/Submit")()
    try:
        while first == "writes":
            await call.write(b"job")
        await call.read()
    except aio.AioRpcError as error:
        return f"{error.code().name}: {error.details()}"
    except asyncio.InvalidStateError:
        return f"InvalidStateError, then {(await call.code()).name}"
    return "no error"


async def main(port):
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
        for first in ("reads", "writes"):
            seen = Counter([await outcome(channel, first) for _ in range(CALLS)])
            for what, count in sorted(seen.items()):
                print(f"{first} first: {'always' if count == CALLS else 'some'}: {what}")


server = grpc.server(ThreadPoolExecutor(4))
methods = {"Submit": grpc.stream_stream_rpc_method_handler(refuse)}
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("demo.Jobs", methods)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
asyncio.run(main(port))
server.stop(None).wait()
PYTHON
grep -qx "reads first: always: PERMISSION_DENIED: no such right" "$dir/seen"
grep -qx "writes first: [a-z]*: INTERNAL: Internal error from Core" "$dir/seen"
echo "as described"
