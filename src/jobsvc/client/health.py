"""The standard gRPC health check of a server.

Not a part of `jobsvc.client`, because it needs grpcio-health-checking.
"""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobsvc.client.error_details import read_failure

SERVING = "SERVING"
_TIMEOUT_SECONDS = 2.0


def check_health(target: str, service: str = "") -> str:
    """Asks the server at `target` for the state of a service, `SERVING` or another.

    `service` is a full name; empty means the whole server.

    Raises:
        CallFailed: the server cannot be reached, or does not know the service.
    """
    with grpc.insecure_channel(target) as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=_TIMEOUT_SECONDS
            )
        except grpc.RpcError as error:
            raise read_failure(error) from None
    state: str = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    return state
