#!/usr/bin/env bash
# One would guess: a call whose metadata are too large is refused, and one whose metadata are not is
# served; the same call always ends the same way.
#
# True (grpcio 1.85.1, its defaults): up to 8 KiB all calls pass, beyond 16 KiB none, and in between
# a call is refused with a probability that grows with its size: of equal calls with a header of
# 9,000 bytes about one in five, of 12,000 about half, of 15,000 nearly all.
#
# Source: gRPC core has a soft limit (grpc.max_metadata_size) and a hard one
# (grpc.absolute_max_metadata_size), and refuses between them at random, so that growth is noticed
# before everything fails (grpc_types.h says so; Python's documentation does not name the limits).
#
# Why it matters: a token grows with the groups of its owner, and tracing baggage with every hop. Then
# one user's calls fail now and then, with RESOURCE_EXHAUSTED, which looks like overload, and a retry
# helps, which hides it until it does not. Look for "soft limit" in the details, send less, or set
# both limits to the same value.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1
"$dir/venv/bin/python" - <<'PYTHON' 2>/dev/null | tee "$dir/seen"
from concurrent.futures import ThreadPoolExecutor

import grpc

CALLS = 300

who = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
handlers = [grpc.method_handlers_generic_handler("demo.Jobs", {"Who": who})]
server = grpc.server(ThreadPoolExecutor(4), handlers=handlers)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
shares = []
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    call = channel.unary_unary("/demo.Jobs/Who")
    for size in (7_000, 9_000, 12_000, 15_000, 17_000):
        refused = 0
        for _ in range(CALLS):
            try:
                call(b"", timeout=5, metadata=[("authorization", "x" * size)])
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                refused += 1
        shares.append(refused / CALLS)
        some = "none" if not refused else "all" if refused == CALLS else "some, not all"
        print(f"of {CALLS} equal calls with a header of {size:,} bytes are refused: {some}")
print("more of the larger ones:", shares == sorted(shares))
server.stop(None).wait()
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
of 300 equal calls with a header of 7,000 bytes are refused: none
of 300 equal calls with a header of 9,000 bytes are refused: some, not all
of 300 equal calls with a header of 12,000 bytes are refused: some, not all
of 300 equal calls with a header of 15,000 bytes are refused: some, not all
of 300 equal calls with a header of 17,000 bytes are refused: all
more of the larger ones: True
SEEN
