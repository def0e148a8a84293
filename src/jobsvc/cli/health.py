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
    from jobsvc.cli.start import exit_line
    from jobsvc.client import CallFailed
    from jobsvc.client.health import SERVING, check_health

    try:
        state = check_health(target, service)
    except CallFailed as error:
        exit_line(f"{target}: {error}")
    print(state)
    if state != SERVING:
        raise typer.Exit(1)
