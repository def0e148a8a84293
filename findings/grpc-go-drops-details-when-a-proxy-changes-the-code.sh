#!/usr/bin/env bash
# One would guess: the status of a call has its details (google.rpc.Status in the trailer
# `grpc-status-details-bin`) on every client, also where something on the way has replaced the code
# in `grpc-status`: one of the two codes wins, and the details stay.
#
# True (google.golang.org/grpc 1.85.0, grpcio 1.85.1): Go's client compares the two codes. Where they
# differ it throws both away, and the details too: the call ends as Internal, "mismatch". Python's
# client reports the code of `grpc-status` and hands the trailer on; who reads it finds everything.
#
# Source: internal/status/status.go of grpc-go ("grpc-status-details-bin mismatch"); the gRPC protocol
# describes `grpc-status` only, and leaves the trailer to each library.
#
# Why it matters: HAProxy turns the status of a stream that its server refuses early into CANCELLED,
# and leaves the trailer as it is. A Go worker that was refused for good (its token, its queue) sees
# Internal without a reason, which looks like a crash, and tries again for ever. Read the trailer
# from the call (`stream.Trailer()`), not from the error.
#
# Needs: Go.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"; kill "$server" 2>/dev/null || true' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  grpcio==1.85.1 googleapis-common-protos==1.76.0
cat > "$dir/serve.py" <<'PYTHON'
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

info = any_pb2.Any()
info.Pack(error_details_pb2.ErrorInfo(reason="TOKEN_EXPIRED", domain="demo"))
status = status_pb2.Status(
    code=code_pb2.UNAUTHENTICATED, message="the token has expired", details=[info]
)


def refuse(request, context):
    # As a proxy leaves it that replaces the code alone.
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.CANCELLED, "the token has expired")


server = grpc.server(ThreadPoolExecutor(2))
methods = {"Work": grpc.unary_unary_rpc_method_handler(refuse)}
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("demo.Jobs", methods)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
try:
    grpc.insecure_channel(f"127.0.0.1:{port}").unary_unary("/demo.Jobs/Work")(b"")
except grpc.RpcError as error:
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    reason = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(trailer).details[0].Unpack(reason)
    print(f"Python: {error.code().name}, reason in the trailer: {reason.reason}", file=sys.stderr)
print(port, flush=True)
server.wait_for_termination()
PYTHON
mkdir "$dir/go"
cat > "$dir/go/main.go" <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	connection, err := grpc.NewClient("127.0.0.1:"+os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	var trailer metadata.MD
	err = connection.Invoke(context.Background(), "/demo.Jobs/Work",
		&emptypb.Empty{}, &emptypb.Empty{}, grpc.Trailer(&trailer))
	failure := status.Convert(err)
	fmt.Printf("Go: %s, %d details, trailer of the call there: %t\n", failure.Code(),
		len(failure.Details()), len(trailer.Get("grpc-status-details-bin")) == 1)
}
GO
(
  cd "$dir/go"
  export GOFLAGS=-mod=mod GOPATH="$dir/gopath" GOCACHE="$dir/gocache"
  go mod init demo && go get google.golang.org/grpc@v1.85.0 && go build -modcacherw -o ../call .
) >"$dir/go.log" 2>&1 || { cat "$dir/go.log"; exit 1; }
"$dir/venv/bin/python" "$dir/serve.py" >"$dir/port" 2>"$dir/seen" &
server=$!
until [ -s "$dir/port" ]; do sleep 0.1; kill -0 "$server"; done
"$dir/call" "$(cat "$dir/port")" >>"$dir/seen"
cat "$dir/seen"
diff - "$dir/seen" <<'SEEN' && echo "as described"
Python: CANCELLED, reason in the trailer: TOKEN_EXPIRED
Go: Internal, 0 details, trailer of the call there: true
SEEN
