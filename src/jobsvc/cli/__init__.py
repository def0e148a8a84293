"""The `jobsvc` command. One file a command group; each imports what it needs when it runs."""

import sys

import typer

from jobsvc.cli import (
    audit,
    bulk,
    completion,
    conformance,
    demo,
    dev_certs,
    doctor,
    health,
    inspect,
    job_control,
    job_list,
    jobs,
    keys,
    migrate,
    queues,
    restore_check,
    serve,
    top,
    trace,
    upkeep,
    watch,
    work,
    workers,
)
from jobsvc.cli.call_options import OptionsBeforeCommand, before_command
from jobsvc.cli.startup import warn_of_unknown_settings
from jobsvc.cli.switches import Command

app = typer.Typer(
    name="jobsvc",
    help="A durable job service beside PostgreSQL: created, worked and followed over gRPC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback(cls=OptionsBeforeCommand)(before_command)
#: What a reader of `jobsvc --help` looks for, and the commands for it.
_PANELS = {
    "Servers": (serve.serve, health.health, keys.app),
    "Jobs": (
        jobs.create,
        jobs.get,
        job_list.list_jobs,
        watch.watch,
        trace.trace,
        job_control.cancel,
        job_control.retry,
        job_control.update,
        job_control.delete,
        bulk.app,
    ),
    "Workers and queues": (work.work, top.top, workers.app, queues.app),
    "Database": (
        migrate.migrate,
        doctor.doctor,
        inspect.inspect,
        restore_check.restore_check,
        audit.audit,
        upkeep.app,
    ),
    "To try and to develop": (
        demo.demo,
        dev_certs.dev_certs,
        conformance.app,
        completion.completion,
    ),
}
for panel, commands in _PANELS.items():
    for command in commands:
        if isinstance(command, typer.Typer):
            app.add_typer(command, rich_help_panel=panel)
        else:
            app.command(cls=Command, rich_help_panel=panel)(command)


def main() -> None:
    """Runs the command line."""
    if not completion.is_shell_asking() and serve.MEMBER not in sys.argv:
        warn_of_unknown_settings()
    app()
