"""`jobsvc serve`."""

from typing import Annotated

import typer

from jobsvc.domain.loopback import is_local_target
from jobsvc.exit_code import ExitCode
from jobsvc.extras import NotInstalled, ask_for, is_installed
from jobsvc.settings import Settings


def serve(
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="HOST:PORT or unix:PATH (JOBSVC_LISTEN; by default 127.0.0.1:50051).",
        ),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to wait for a database that is not there"
            " (JOBSVC_START_WAIT_SECONDS; by default 60).",
            show_default=False,
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen beyond loopback without authentication or TLS."),
    ] = False,
) -> None:
    """Serve jobs over gRPC until SIGTERM. Settings come from JOBSVC_* (docs/configuration.md)."""
    import os

    from jobsvc.cli.startup import exit_line, log_to_stderr, raise_file_limit, read_settings

    settings = read_settings(listen=listen, start_wait_seconds=wait)
    if settings.jwt_issuer is not None and not is_installed("auth"):
        raise NotInstalled(f"JOBSVC_JWT_ISSUER: {ask_for('auth')}")
    host = settings.listen.rpartition(":")[0]
    is_local = is_local_target(settings.listen)
    lack, danger = ("", "") if is_local else _danger(settings)
    if lack and not insecure:
        exit_line(
            f"{host} is not loopback, and {lack} {danger}: pass --insecure to listen there all the"
            " same",
            ExitCode.CONFIGURATION,
        )
    log_to_stderr()
    raise_file_limit()
    # Set before gRPC is imported. Everything that its core logs comes as an exception too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if lack:
        import logging

        logging.getLogger("jobsvc").warning("listening on %s %s: %s", host, lack, danger)
    try:
        import uvloop as loop
    except ImportError:  # uvloop does not run on Windows.
        import asyncio as loop  # type: ignore[no-redef]

    from jobsvc.cli.startup import startup_errors
    from jobsvc.sd_notify import ServiceManager
    from jobsvc.server_process import serve as run
    from jobsvc.tracing import can_be_scraped, start_tracing

    is_scraped = settings.http_listen is not None and can_be_scraped()
    tracing = start_tracing("jobsvc", settings.trace_dir, with_metrics=True, is_scraped=is_scraped)
    with startup_errors(), tracing:
        _tune_collector()
        loop.run(
            run(
                settings,
                lambda port: print(_ready_line(settings.listen, port), flush=True),
                ServiceManager.take_from(os.environ),
            )
        )
    # Skips the interpreter's tear-down of gRPC's threads: everything is closed already.
    os._exit(0)


def _danger(settings: Settings) -> tuple[str, str]:
    """Says without what it is dangerous to listen beyond loopback, and why; empty if it is not."""
    if not settings.authenticates:
        return "without authentication", "everyone who reaches it can create and work on jobs"
    if settings.tls_cert is None:
        return "without TLS", "everyone on the way can read the credentials of callers"
    return "", ""


def _ready_line(listen: str, port: int) -> str:
    """What is printed when the server is ready, with the port that it took in place of 0."""
    if port:  # none for a path
        listen = f"{listen.rpartition(':')[0]}:{port}"
    return f"jobsvc listening on {listen}"


def _tune_collector() -> None:
    """Makes Python's garbage collector run less often.

    Otherwise it scans every batch of jobs several times for cycles that do not
    exist. Those that do exist hold little: gRPC leaves a small one for each call. Everything
    loaded by now is never scanned again.

    A look at objects that stay, as those of thousands of calls that wait do, takes up to a
    microsecond for each. So no look but a full one, which is rare and follows growth by a quarter,
    sees more than 50,000 of them: what was seen twice is not seen again until then.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 0, 100)
