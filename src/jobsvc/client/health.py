"""Asks a server whether it is serving, by gRPC's standard health protocol."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed
from jobsvc.domain.http_proxy import proxy_options
from jobsvc.domain.target import check_target


def serving_status(
    target: str,
    service: str = "",
    timeout: float = 2.0,
    credentials: grpc.ChannelCredentials | None = None,
) -> str:
    """Returns the status of a service (`"SERVING"`), of the whole server when it is not named.

    `credentials` turn on TLS.

    Raises:
        CallFailed: the server did not answer within `timeout` seconds, or does
            not know the service.
        ValueError: the target has no port that exists.
    """
    check_target(target)
    request = health_pb2.HealthCheckRequest(service=service)
    options = proxy_options(target)
    open_channel = (
        grpc.secure_channel(target, credentials, options)
        if credentials
        else grpc.insecure_channel(target, options)
    )
    with open_channel as channel:
        try:
            response = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout)
        except grpc.RpcError as error:
            # The health service is not ours, and refuses without details.
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise CallFailed("NOT_FOUND", error.details() or "unknown service") from error
            raise read_failure(error, target) from error
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)
    return name
