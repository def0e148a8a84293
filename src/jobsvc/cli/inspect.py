"""`jobsvc inspect`: shows a job to whoever has the database."""

from typing import Annotated

import typer

from jobsvc.exit_code import ExitCode


def inspect(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show any job of the database JOBSVC_DSN, whoever owns it, without a server.

    For whoever runs jobsvc: a job that is bound to a session or user is shown, too,
    with its input and output. The schema is JOBSVC_SCHEMA.
    """
    import asyncio

    from jobsvc.cli.startup import exit_line, log_to_stderr, read_settings, startup_errors

    settings = read_settings()
    log_to_stderr()
    if settings.dsn is None:
        exit_line(
            "JOBSVC_DSN names no database; that of a server with the embedded PostgreSQL is"
            f" postgresql://jobsvc@/jobsvc?host={settings.data_dir.absolute()}/run",
            ExitCode.CONFIGURATION,
        )
    dsn, schema = settings.dsn, settings.schema
    from jobsvc.cli.console import new_console
    from jobsvc.cli.job_text import job_json, print_job
    from jobsvc.client.job import Job
    from jobsvc.domain.errors import InvalidRequest, JobNotFound
    from jobsvc.inspection import open_inspector

    async def run() -> Job | str:
        """Returns the job, or why there is none."""
        async with open_inspector(dsn, schema) as inspector:
            try:
                return await inspector.inspect(job_id)
            except (JobNotFound, InvalidRequest) as error:
                return f"{error}"

    with startup_errors():
        found = asyncio.run(run())
    if isinstance(found, str):
        exit_line(found)
    if as_json:
        typer.echo(job_json(found, indent=2))
    else:
        print_job(found, new_console())
