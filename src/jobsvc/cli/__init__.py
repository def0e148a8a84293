"""The `jobsvc` command. One file a command group; each imports what it needs when it runs."""

import typer

from jobsvc.cli import calls, demo, health, serve, trace, work

app = typer.Typer(
    name="jobsvc",
    help="A durable job service beside PostgreSQL: created, worked and followed over gRPC.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    serve.serve,
    serve.migrate,
    health.health,
    work.work,
    calls.create,
    calls.get,
    calls.watch,
    trace.trace,
    demo.demo,
):
    app.command()(command)


def main() -> None:
    """Runs the command line."""
    app()
