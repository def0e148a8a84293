"""`jobsvc upkeep`: shows the duties of servers, and runs one by hand."""

from typing import Annotated

import typer

from jobsvc.cli.command_group import command_group
from jobsvc.exit_code import ExitCode


def list_() -> None:
    """List the duties that servers have, and which of them may be run by hand."""
    from jobsvc.upkeep.by_hand import DUTIES

    width = max(map(len, DUTIES))
    for name, duty in DUTIES.items():
        by_whom = "by hand" if duty.run_batch else "servers"
        print(f"{name:<{width}}  {by_whom}  {duty.what}")


def run(
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="Its name, as `list` shows it.")],
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Change nothing: run one batch, take it back, and say what it would have done.",
        ),
    ] = False,
) -> None:
    """Run a duty on the database JOBSVC_DSN until nothing is left, beside servers or without any.

    Give it the settings that the servers have. Jobs are handled in batches of a thousand.
    """
    import asyncio

    from jobsvc.cli.startup import exit_line, log_to_stderr, read_settings, startup_errors
    from jobsvc.store.migrate import check_current
    from jobsvc.store.store import open_store
    from jobsvc.upkeep import by_hand

    found = by_hand.DUTIES.get(duty)
    if found is None:
        raise typer.BadParameter(f"no such duty: {duty}; there are {', '.join(by_hand.DUTIES)}")
    run_batch = found.run_batch
    if run_batch is None:
        raise typer.BadParameter(f"{duty} is not run by hand: it {found.what}")
    settings = read_settings()
    log_to_stderr()
    if settings.dsn is None:
        exit_line(
            "JOBSVC_DSN names no database; the server of the embedded one does its upkeep",
            ExitCode.CONFIGURATION,
        )
    dsn = settings.dsn

    async def run() -> by_hand.Result:
        await check_current(dsn, settings.schema)
        async with open_store(
            dsn, "upkeep", 1, settings.statement_seconds, settings.max_queues, settings.schema
        ) as store:
            return await by_hand.run(store, settings, run_batch, dry_run)

    with startup_errors():
        result = asyncio.run(run())
    if dry_run:
        more = "" if result.is_all else " in its first batch"
        print(f"{duty} would handle {result.number}{more}")
    else:
        print(f"{duty}: {result.number}")


app = command_group("upkeep", "Show the duties of servers, and run one by hand.", (list_, run))
