"""`jobsvc restore-check`: puts a database right that was restored."""

from collections.abc import Iterator
from typing import Annotated

import typer

from jobsvc.domain.restored import Findings, notes, repairs


def restore_check(
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Change nothing; say what would be done, and exit with 1 if it is anything.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put the database JOBSVC_DSN right after a restore from a dump or a backup.

    Run it before servers are let in, or as soon as may be. It releases leases of before, raises
    the versions of jobs above all that anybody has seen, moves the sequence of schema ids on, and
    says what it found and did. A second run does nothing, until PostgreSQL is started again.

    Without JOBSVC_DSN it starts the embedded PostgreSQL in JOBSVC_DATA_DIR.

    See docs/operations/backup.md.
    """
    import asyncio

    from jobsvc.cli.existing_database import existing_database
    from jobsvc.cli.startup import log_to_stderr, read_settings, startup_errors
    from jobsvc.store.restore_check import check_restored

    settings = read_settings()
    log_to_stderr()

    async def run() -> Findings:
        async with existing_database(settings) as dsn:
            return await check_restored(
                dsn, settings.schema, settings.failed_retention_seconds, dry_run
            )

    with startup_errors():
        found = asyncio.run(run())
    print(_json(found, dry_run) if as_json else "\n".join(_lines(found, dry_run)))
    if dry_run and found.check_time is None:
        raise typer.Exit(1)


def _lines(found: Findings, dry_run: bool) -> Iterator[str]:
    yield f"database {found.database}, PostgreSQL started {_moment(found.server_start_time)}"
    if found.newest_job_time is not None:
        yield f"the newest job is of {_moment(found.newest_job_time)}"
    if found.check_time is not None:
        yield f"checked {_moment(found.check_time)}: nothing to do"
    for line in repairs(found, is_done=not dry_run):
        yield f"would {line}" if dry_run else line
    yield from notes(found)


def _moment(time: object) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _json(found: Findings, dry_run: bool) -> str:
    import json
    from dataclasses import asdict

    value = {
        "found": asdict(found),
        "changed": not dry_run and found.check_time is None,
        "repairs": list(repairs(found, is_done=not dry_run)),
        "notes": list(notes(found)),
    }
    return json.dumps(value, indent=2, ensure_ascii=False, default=lambda time: time.isoformat())
