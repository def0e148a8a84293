"""`jobsvc migrate`: what an owner does with the schema, and a look at what it lacks."""

from typing import Annotated

import typer

from jobsvc.exit_code import ExitCode


def migrate(
    move_from: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEMA",
            help="First move the tables here from this schema: from `public`, where older releases"
            " made them. Stop those before.",
        ),
    ] = None,
    grant: Annotated[
        str | None,
        typer.Option(metavar="ROLE", help="Then give this role what serving needs, and no more."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Change nothing; print what this release lacks to serve as the role of JOBSVC_DSN,"
            " a line each, and exit with 1 if it is anything.",
        ),
    ] = False,
) -> None:
    """Bring the schema JOBSVC_SCHEMA in the database JOBSVC_DSN up to date, without serving.

    Makes the schema if it is missing. It needs the role that owns the tables; a
    server that finds all there needs only what --grant gives.
    """
    import asyncio

    from jobsvc.cli.startup import exit_line, log_to_stderr, read_settings, startup_errors
    from jobsvc.store import migrate as migrations
    from jobsvc.store import rights

    if check and (move_from or grant):
        raise typer.BadParameter("--check changes nothing: give it alone")
    settings = read_settings()
    log_to_stderr()
    if settings.dsn is None:
        exit_line(
            "JOBSVC_DSN names no database; the embedded one is migrated when it starts",
            ExitCode.CONFIGURATION,
        )
    dsn, schema = settings.dsn, settings.schema

    async def run() -> list[str]:
        """Does it, and returns what there is to say."""
        if check:
            return await rights.missing_for_serving(dsn, schema)
        lines = []
        if move_from is not None:
            await migrations.move(dsn, move_from, schema)
            lines.append(f"moved from {move_from} to {schema}")
        lines += [f"applied {name}" for name in await migrations.migrate(dsn, schema)]
        if grant is not None:
            given = await rights.grant(dsn, schema, grant)
            lines += [f"granted {len(given)} rights to {grant}"] if given else []
        return lines

    with startup_errors():
        lines = asyncio.run(run())
    print("\n".join(lines) or ("nothing is missing" if check else "up to date"))
    if check and lines:
        raise typer.Exit(1)
