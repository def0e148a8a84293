#!/usr/bin/env bash
# One would guess: a second gRPC server that is started on the unix socket of a running one fails,
# as it does on a taken TCP port with `grpc.so_reuseport` 0, and as a server in Go does.
#
# True (grpcio 1.85.1): it is told that it is bound, takes the path over, and answers all new calls.
# The first server runs on, with no error and no caller. When the second one stops it removes the
# file, and then nobody can be reached, although a server is running.
#
# Source: gRPC core removes a socket file that is there before it binds ("unlink if unix domain
# socket"), and removes its own at the end, whoever's it has become. The documentation of
# `add_insecure_port` says that it raises when binding fails, and names no exception from that.
#
# Why it matters: a sidecar's socket is a fixed path, and a supervisor that starts the new process
# before the old one has ended, or a second copy started by hand, silently takes all calls away from
# a server that still holds its workers' streams. Ask first whether somebody answers on the path.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
"$dir/venv/bin/python" - "$dir" <<'PYTHON' 2>/dev/null | tee "$dir/seen"
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

path = Path(sys.argv[1], "jobs.sock")
address = f"unix:{path}"


def start(name: str) -> grpc.Server:
    who = grpc.unary_unary_rpc_method_handler(lambda request, context: name.encode())
    handlers = [grpc.method_handlers_generic_handler("demo.Jobs", {"Who": who})]
    options = [("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(2), handlers=handlers, options=options)
    print(f"{name} server: add_insecure_port returns {server.add_insecure_port(address)}")
    server.start()
    return server


def ask() -> str:
    with grpc.insecure_channel(address) as channel:
        try:
            return channel.unary_unary("/demo.Jobs/Who")(b"", timeout=5).decode()
        except grpc.RpcError as error:
            return error.code().name


first = start("first")
print("a call is answered by:", ask())
second = start("second")
print("a call is answered by:", ask())
second.stop(None).wait()
print("the second has stopped, the first runs; the file is there:", path.exists())
print("a call is answered by:", ask())
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
first server: add_insecure_port returns 1
a call is answered by: first
second server: add_insecure_port returns 1
a call is answered by: second
the second has stopped, the first runs; the file is there: False
a call is answered by: UNAVAILABLE
SEEN
