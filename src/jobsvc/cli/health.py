"""`jobsvc health`: for container health checks and for people."""

from typing import Annotated

import typer


def health(
    target: Annotated[
        str, typer.Option(envvar="JOBSVC_TARGET", help="HOST:PORT of the server.")
    ] = "127.0.0.1:50051",
    service: Annotated[
        str, typer.Option(help="A service by its full name; the whole server when empty.")
    ] = "",
) -> None:
    """Say whether a server is serving; exit code 1 when it is not."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from jobsvc.cli.start import exit_line

    with grpc.insecure_channel(target) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=2
            )
        except grpc.RpcError as error:
            exit_line(f"{target}: {error.code().name}: {error.details()}")
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    print(state)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise typer.Exit(1)
