"""The `jobsvc` command. One file a command group; each imports what it needs when it runs."""

import typer

from jobsvc.cli import (
    bulk,
    completion,
    conformance,
    demo,
    doctor,
    health,
    inspect,
    job_control,
    job_list,
    jobs,
    migrate,
    queues,
    restore_check,
    serve,
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
for command in (
    serve.serve,
    migrate.migrate,
    restore_check.restore_check,
    doctor.doctor,
    health.health,
    work.work,
    jobs.create,
    jobs.get,
    job_list.list_jobs,
    watch.watch,
    inspect.inspect,
    job_control.cancel,
    job_control.retry,
    job_control.update,
    job_control.delete,
    trace.trace,
    demo.demo,
    completion.completion,
):
    app.command(cls=Command)(command)
app.add_typer(queues.app)
app.add_typer(workers.app)
app.add_typer(conformance.app)
app.add_typer(bulk.app)
app.add_typer(upkeep.app)


def main() -> None:
    """Runs the command line."""
    if not completion.is_shell_asking():
        warn_of_unknown_settings()
    app()
