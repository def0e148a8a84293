#!/usr/bin/env bash
# One would guess: an idle stream takes a server the same memory whichever call of its connection it is.
#
# True (grpcio 1.85.1, Linux x86-64): streams that are opened before any call has ended on their
# connection take 3 KB more each, for as long as they are open: 22 instead of 19 KB of an asyncio
# server. One short call first saves it for all that follow.
#
# Source: each server connection sizes the arena of a call by the calls that have ended on it, and
# begins with 1,024 bytes (`CallArenaAllocator`, `CallSizeEstimator`). No call fits in that, so the
# first zone is wasted, and every later piece of the call is an allocation of its own.
#
# Why it matters: gateways open thousands of watches right after they have connected, and reconnect
# all at once after a restart, so the largest crowd of streams is always the dearest. No option sets
# the size; a health check or any other call before the streams does.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
cat >"$dir/caller.py" <<'PYTHON'
import asyncio
import sys

from grpc import aio

STREAMS, CONNECTIONS = 3000, 4


async def main(port: str, first_a_call: bool) -> None:
    own = (("grpc.use_local_subchannel_pool", 1),)
    channels = [aio.insecure_channel(f"127.0.0.1:{port}", own) for _ in range(CONNECTIONS)]
    calls, few = [], asyncio.Semaphore(50)

    async def open_stream(number: int) -> None:
        async with few:
            call = channels[number % CONNECTIONS].unary_stream("/demo.Jobs/Watch")(b"")
            calls.append(call)
            await call.read()

    for channel in channels:
        await channel.channel_ready()
        if first_a_call:
            await channel.unary_unary("/demo.Jobs/Get")(b"")
    await asyncio.gather(*map(open_stream, range(200)))
    print("begin", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*map(open_stream, range(STREAMS)))
    print("end", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


asyncio.run(main(sys.argv[1], sys.argv[2] == "True"))
PYTHON
cat >"$dir/server.py" <<'PYTHON'
import asyncio
import gc
import os
import sys
from pathlib import Path

import grpc
from grpc import aio


async def get(request: bytes, context: aio.ServicerContext) -> bytes:
    return b""


async def watch(request: bytes, context: aio.ServicerContext) -> None:
    await context.write(b"")
    await asyncio.get_running_loop().create_future()


def resident() -> int:
    gc.collect()
    return 4 * int(Path("/proc/self/statm").read_text().split()[1])


async def main(first_a_call: str) -> None:
    server = aio.server()
    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(get),
        "Watch": grpc.unary_stream_rpc_method_handler(watch),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("demo.Jobs", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    caller = Path(__file__).with_name("caller.py")
    command = [sys.executable, str(caller), str(port), first_a_call]
    child = await asyncio.create_subprocess_exec(*command, stdin=-1, stdout=-1)
    assert await child.stdout.readline() == b"begin\n"
    before = resident()
    child.stdin.write(b"\n")
    assert await child.stdout.readline() == b"end\n"
    await asyncio.sleep(1)
    print(f"{(resident() - before) / 3000:.1f}", flush=True)
    child.kill()
    os._exit(0)


asyncio.run(main(sys.argv[1]))
PYTHON
cold=$("$dir/venv/bin/python" "$dir/server.py" False)
warm=$("$dir/venv/bin/python" "$dir/server.py" True)
echo "KB a stream: $cold on new connections, $warm where a call has ended before"
"$dir/venv/bin/python" -c "assert $cold - $warm > 2" && echo "as described"
