#!/usr/bin/env bash
# One would guess: gRPC server reflection answers `file_containing_symbol` for every fully qualified
# symbol, a method included, so `grpcurl describe pkg.Service.Method` works on any server that has
# reflection on.
#
# True (grpcio-reflection 1.85.1, protobuf 7.36.2): the Python implementation finds services,
# messages, fields, enums and enum values, but answers "not found" for a method. The cause is one
# level down: `DescriptorPool.FindFileContainingSymbol` does not know methods, although
# `FindMethodByName` of the same pool does.
#
# Source: grpc/reflection/v1alpha/reflection.proto: "This field should be a fully-qualified symbol
# name (e.g. <package>.<service>[.<method>] or <package>.<type>)".
#
# Why it matters: whoever operates a job service in Python by grpcurl, or loads it with ghz by
# reflection, is told that a method does not exist which can be called. A protoset, or describing the
# service, helps; a server can look methods up itself before it asks the pool.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.1 \
  grpcio-reflection==1.85.1 grpcio-health-checking==1.85.1 protobuf==7.36.2
"$dir/venv/bin/python" - <<'PYTHON' | tee "$dir/seen"
from concurrent import futures

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

server = grpc.server(futures.ThreadPoolExecutor(2))
health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
reflection.enable_server_reflection(("grpc.health.v1.Health", reflection.SERVICE_NAME), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    for symbol in (
        "grpc.health.v1.Health",
        "grpc.health.v1.HealthCheckRequest",
        "grpc.health.v1.HealthCheckRequest.service",
        "grpc.health.v1.HealthCheckResponse.SERVING",
        "grpc.health.v1.Health.Check",
    ):
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
        print(symbol, answer.error_response.error_message or "found")
    health_check = channel.unary_unary("/grpc.health.v1.Health/Check")
    print("the method itself answers", len(health_check(b"", timeout=10)), "bytes")
server.stop(None)
print("FindMethodByName", descriptor_pool.Default().FindMethodByName(symbol).full_name)
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
grpc.health.v1.Health found
grpc.health.v1.HealthCheckRequest found
grpc.health.v1.HealthCheckRequest.service found
grpc.health.v1.HealthCheckResponse.SERVING found
grpc.health.v1.Health.Check not found
the method itself answers 2 bytes
FindMethodByName grpc.health.v1.Health.Check
SEEN
