"""`jobsvc workers`: shows and drains workers from a shell."""

from typing import Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.command_group import command_group
from jobsvc.cli.open_client import open_client


@calls_server
def list_(
    server: CallOptions,
    queue: Annotated[str, typer.Option(metavar="QUEUE", help="Only those of this queue.")] = "",
) -> None:
    """List the workers seen in the last minute, with what they hold."""
    with open_client(server) as client:
        from jobsvc.cli.console import new_console
        from jobsvc.cli.queue_text import print_workers, value_json

        workers = client.list_workers(queue)
        if server.as_json:
            for worker in workers:
                typer.echo(value_json(worker))
        else:
            print_workers(workers, new_console())


@calls_server
def drain(
    server: CallOptions,
    worker_ids: Annotated[list[str], typer.Argument(metavar="WORKER...", help="The workers.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for its log.")] = "",
) -> None:
    """Let workers finish what they hold and take no more."""
    with open_client(server) as client:
        for worker_id in worker_ids:
            client.drain_worker(worker_id, reason)
            if not server.as_json:
                typer.echo(f"{worker_id} drains")
        if server.as_json:
            typer.echo("{}")


app = command_group("workers", "Show and drain workers.", (list_, drain))
