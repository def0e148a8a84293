"""`jobsvc work`: runs a Python worker."""

from typing import Annotated

import typer


def work(
    modules: Annotated[
        list[str],
        typer.Argument(metavar="MODULE", help="Importable names, or paths of .py files."),
    ],
    target: Annotated[
        str, typer.Option(metavar="HOST:PORT", envvar="JOBSVC_TARGET", help="The server.")
    ] = "127.0.0.1:50051",
    concurrency: Annotated[int, typer.Option(metavar="N", help="Jobs to run at a time.")] = 8,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Jobs to hold, running or waiting here.", show_default=False
        ),
    ] = None,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long running jobs get on SIGTERM.")
    ] = 25.0,
    version: Annotated[
        str, typer.Option(metavar="TEXT", help="Release of the worker code, for people.")
    ] = "",
) -> None:
    """Works on the jobs that MODULEs have processors for, until SIGTERM or SIGINT."""
    from jobsvc.worker.command import run_or_explain

    code = run_or_explain(
        modules,
        target=target,
        concurrency=concurrency,
        window=window,
        grace_seconds=grace,
        version=version,
    )
    raise typer.Exit(code)
