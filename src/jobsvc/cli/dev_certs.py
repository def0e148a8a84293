"""`jobsvc dev-certs`: a small authority with certificates, to try TLS and identities with."""

from pathlib import Path
from typing import Annotated

import typer

from jobsvc.exit_code import ExitCode


def dev_certs(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name or number of the server, besides localhost and 127.0.0.1; may"
            " come more than once.",
        ),
    ] = None,
    client: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Client certificates to make, by default `client` and `worker`: NAME is the last"
            " part of spiffe://jobsvc.dev/NAME, and of the file.",
        ),
    ] = None,
) -> None:
    """Make an authority, and certificates of a server and of clients, that last for 30 days.

    For trying it: the keys lie unencrypted in DIR, and whoever has ca.key can be
    anybody. Files that are there are kept, and nothing is made.
    """
    from jobsvc.auth.dev_certs import make_certificates
    from jobsvc.cli.startup import exit_line

    try:
        made = make_certificates(folder, host or [], client or ["client", "worker"])
    except FileExistsError as error:
        exit_line(f"{error.filename} is there: name another folder", ExitCode.USAGE)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except OSError as error:
        exit_line(f"{folder}: {error.strerror or error}")
    print("\n".join(map(str, made)))
