"""The client of one command, and the TLS of its channel."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from jobsvc.bearer_token import Token, token_in
from jobsvc.cli.call_options import CallOptions
from jobsvc.cli.startup import exit_line
from jobsvc.domain.loopback import is_local_target
from jobsvc.exit_code import ExitCode
from jobsvc.plain_text import lines

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Client
    from jobsvc.tls import Credentials

#: A collector that is away costs a command no longer.
_FLUSH_SECONDS = 0.5


@contextmanager
def open_client(options: CallOptions) -> Iterator["Client"]:
    """Yields a client; a failed call becomes a line on stderr and exit code 1."""
    credentials = channel_credentials(options.tls, options.ca, options.cert, options.key)
    token: Token | None = options.token
    if token is None and options.token_file is not None:
        token = _read_by(options.token_file)
    if token and credentials is None and not is_local_target(options.target):
        typer.echo(
            f"jobsvc: warning: the token goes to {options.target} unencrypted; use --tls", err=True
        )
    from jobsvc.client import CallFailed, Client
    from jobsvc.tracing import start_tracing

    with start_tracing("jobsvc-cli", None, flush_seconds=_FLUSH_SECONDS):
        try:
            try:
                client = Client(
                    options.target,
                    session_id=options.session,
                    user_id=options.user,
                    token=token,
                    credentials=credentials,
                )
            except ValueError as error:  # an identity that no call can carry
                raise typer.BadParameter(str(error)) from None
            with client:
                yield client
        except CallFailed as failure:
            typer.echo(f"jobsvc: {lines(str(failure))}", err=True)
            if missing := failure.metadata.get("missingMetadata"):
                typer.echo(f"  the call had no {missing}: pass --session or --user", err=True)
            # The message names the first defect already.
            for violation in failure.violations[1:]:
                typer.echo(f"  {lines(f'{violation.field}: {violation.description}')}", err=True)
            raise typer.Exit(1) from None


def _read_by(path: Path) -> Token:
    read = token_in(path)

    def token() -> str:
        try:
            return read()
        except (OSError, ValueError) as error:
            exit_line(f"--token-file {path}: {getattr(error, 'strerror', None) or error}")

    return token


def channel_credentials(
    tls: bool, ca: Path | None, cert: Path | None = None, key: Path | None = None
) -> "Credentials | None":
    """Returns the credentials for `--tls`, `--ca`, `--cert` and `--key`, None without TLS; ends the
    command with one line when a file is unusable. To be called before gRPC is imported."""
    # gRPC's own log is no text for people; this must be set before gRPC is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if not (tls or ca or cert or key):
        return None
    from jobsvc.tls import describe_files, tls_credentials

    try:
        return tls_credentials(ca, cert, key)
    except OSError as error:
        exit_line(f"{describe_files(ca, cert, key)}: {error.strerror or error}")
    except ValueError as error:
        exit_line(f"{error}", ExitCode.USAGE)
