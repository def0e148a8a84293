"""`jobsvc serve`."""

import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from jobsvc.domain.loopback import is_local_target
from jobsvc.exit_code import ExitCode
from jobsvc.extras import NotInstalled, ask_for, is_installed
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings

if TYPE_CHECKING:
    from jobsvc.processes.member import Member

#: How the parent of several processes starts each of them.
MEMBER = "--member"


def serve(
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="HOST:PORT or unix:PATH (JOBSVC_LISTEN; by default 127.0.0.1:50051).",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Equal processes on that port, for as many processors"
            " (JOBSVC_PROCESSES; by default 1).",
            show_default=False,
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
    member: Annotated[str | None, typer.Option(MEMBER, hidden=True)] = None,
) -> None:
    """Serve jobs over gRPC until SIGTERM. Settings come from JOBSVC_* (docs/configuration.md)."""
    from jobsvc.cli.startup import exit_line, log_to_stderr, raise_file_limit, read_settings

    if member is not None:  # This is one of several processes.
        _serve_as(member)
    settings = read_settings(listen=listen, processes=processes, start_wait_seconds=wait)
    if settings.jwt_issuer is not None and not is_installed("auth"):
        raise NotInstalled(f"JOBSVC_JWT_ISSUER: {ask_for('auth')}")
    if settings.processes > 1 and sys.platform != "linux":
        reason = "only Linux spreads the connections of a port over several"
        exit_line(f"JOBSVC_PROCESSES: {reason}", ExitCode.CONFIGURATION)
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
    log = logging.getLogger("jobsvc")
    if lack:
        log.warning("listening on %s %s: %s", host, lack, danger)
    if settings.http_listen is not None and not is_installed("prometheus"):
        log.warning("/metrics is not served: %s", ask_for("prometheus"))
    manager = ServiceManager.take_from(os.environ)

    def on_ready(port: int) -> None:
        print(_ready_line(settings.listen, port), flush=True)

    if settings.processes == 1:
        _run(settings, on_ready, manager)
    else:
        _run_parent(settings, on_ready, manager)


def _run_parent(
    settings: Settings, on_ready: Callable[[int], None], manager: ServiceManager
) -> NoReturn:
    """Serves by several processes."""
    import asyncio

    from jobsvc.cli.startup import startup_errors
    from jobsvc.processes.serve import serve as run

    with startup_errors():
        code = asyncio.run(run(settings, on_ready, manager))
    raise SystemExit(code)


def _serve_as(member: str) -> NoReturn:
    """Serves as one of several processes, for the parent that has started it."""
    from jobsvc.cli.startup import log_to_stderr
    from jobsvc.processes.member import Member

    one = Member.join(member)
    log_to_stderr(one.index)
    _run(one.terms.settings, lambda _: None, one.manager, one)


def _run(
    settings: Settings,
    on_ready: Callable[[int], None],
    manager: ServiceManager,
    member: "Member | None" = None,
) -> NoReturn:
    """Serves by this process."""
    # Set before gRPC is imported. Everything that its core logs comes as an exception too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import uvloop as loop
    except ImportError:  # uvloop does not run on Windows.
        import asyncio as loop  # type: ignore[no-redef]

    from jobsvc.cli.startup import startup_errors
    from jobsvc.server_process import serve as run
    from jobsvc.tracing import can_be_scraped, start_tracing

    tracing = start_tracing(
        "jobsvc",
        settings.trace_dir,
        with_metrics=True,
        is_scraped=settings.http_listen is not None and can_be_scraped(),
        process=member.index if member else None,
    )
    outside = (member.answering, member.terms.embedded_dsn) if member else ()
    with startup_errors(), tracing:
        _tune_collector()
        loop.run(run(settings, on_ready, manager, *outside))
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
