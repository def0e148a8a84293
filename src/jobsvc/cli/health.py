"""`jobsvc health`: for container health checks and for people."""

from typing import Annotated

import typer

from jobsvc.cli.call_options import DEFAULT_TARGET, Ca, Cert, Key, Target, Tls
from jobsvc.cli.open_client import channel_credentials
from jobsvc.cli.startup import exit_line


def health(
    service: Annotated[
        str, typer.Option(help="A service by its full name; the whole server when empty.")
    ] = "",
    target: Target = DEFAULT_TARGET,
    tls: Tls = False,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
) -> None:
    """Say whether a server is serving; exit code 1 when it is not."""
    credentials = channel_credentials(tls, ca, cert, key)
    from jobsvc.client import CallFailed
    from jobsvc.client.health import serving_status

    try:
        status = serving_status(target, service, credentials=credentials)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except CallFailed as failure:
        if failure.code == "NOT_FOUND":
            exit_line(f"{target} has no service {service!r}; without --service all of it is asked")
        exit_line(f"{target}: {failure}")
    print(status)
    if status != "SERVING":
        raise typer.Exit(1)
