"""`jobsvc work`: runs a Python worker."""

import os
from typing import Annotated

import typer

from jobsvc.cli.call_options import DEFAULT_TARGET, Ca, Cert, Key, Target, Tls, TokenFile


def work(
    modules: Annotated[
        list[str],
        typer.Argument(metavar="MODULE", help="Dotted names, or paths of .py files."),
    ],
    target: Target = DEFAULT_TARGET,
    tls: Tls = False,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    token_file: TokenFile = None,
    concurrency: Annotated[int, typer.Option(metavar="N", help="Jobs that run at a time.")] = 8,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Jobs to lease, running or waiting (by default as --concurrency).",
            show_default=False,
        ),
    ] = None,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="Time for running jobs to end after SIGTERM.")
    ] = 25.0,
    blocked_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="End the process when a job blocks its event loop for so long.",
        ),
    ] = 300.0,
    version: Annotated[
        str, typer.Option(metavar="TEXT", help="Release of the worker's code, for people.")
    ] = "",
    take_back: Annotated[
        bool,
        typer.Option(
            "--take-back",
            help="For a rollback: declare the schemas even where a queue has newer ones.",
        ),
    ] = False,
) -> None:
    """Work on jobs with the processors in MODULEs, until SIGTERM or SIGINT."""
    # gRPC's own log is no text for people; this must be set before gRPC is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from jobsvc.worker.command import run_or_explain

    code = run_or_explain(
        modules,
        target=target,
        tls=tls,
        ca=ca,
        cert=cert,
        key=key,
        token_file=token_file,
        concurrency=concurrency,
        window=window,
        grace_seconds=grace,
        version=version,
        take_back=take_back,
        blocked_seconds=blocked_seconds,
    )
    raise typer.Exit(code)
