"""The client of one command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from jobsvc.cli.server_options import ServerOptions

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Client


@contextmanager
def connect(options: ServerOptions) -> Iterator["Client"]:
    """Yields a client; a failed call becomes a line on stderr and exit code 1."""
    # gRPC's own log is no text for people; this must be set before gRPC is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from jobsvc.client import CallFailed, Client
    from jobsvc.tracing import start_tracing

    with start_tracing("jobsvc-cli", None):
        try:
            try:
                client = Client(
                    options.target,
                    session_id=options.session,
                    user_id=options.user,
                    token=options.token,
                )
            except ValueError as error:  # an identity that no call can carry
                raise typer.BadParameter(str(error)) from None
            with client:
                yield client
        except CallFailed as failure:
            typer.echo(f"jobsvc: {failure}", err=True)
            # The message names the first defect already.
            for violation in failure.violations[1:]:
                typer.echo(f"  {violation.field}: {violation.description}", err=True)
            raise typer.Exit(1) from None
