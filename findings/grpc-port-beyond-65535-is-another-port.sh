#!/usr/bin/env bash
# One would guess: a gRPC server told to listen on 127.0.0.1:70000, or a channel told to call it,
# says that there is no such port.
#
# True (grpcio 1.85.1): both take the number modulo 65,536. The server listens on 4464 and says so in
# nothing but its return value; the channel calls 4464 and reaches whoever listens there. Each finds
# the other, so a test of the two together passes.
#
# Source: gRPC's naming document knows "ipv4:address:port" and "dns:host:port" and says nothing of a
# range; Go's net package answers "invalid port".
#
# Why it matters: one digit too many in a deployment, and a service serves on a port that no firewall
# rule, probe or scrape knows, or calls a stranger. Check the range before the address reaches gRPC.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
"$dir/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$dir/seen"
from concurrent.futures import ThreadPoolExecutor

import grpc

who = grpc.unary_unary_rpc_method_handler(lambda request, context: b"a server on 4464")
handlers = [grpc.method_handlers_generic_handler("demo.Jobs", {"Who": who})]
server = grpc.server(ThreadPoolExecutor(2), handlers=handlers)
print("add_insecure_port('127.0.0.1:70000') returns", server.add_insecure_port("127.0.0.1:70000"))
server.start()
for port in (4464, 70_000):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = channel.unary_unary("/demo.Jobs/Who")(b"", timeout=5).decode()
        print(f"a channel to port {port} reaches", answer)
server.stop(None).wait()
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
add_insecure_port('127.0.0.1:70000') returns 4464
a channel to port 4464 reaches a server on 4464
a channel to port 70000 reaches a server on 4464
SEEN
