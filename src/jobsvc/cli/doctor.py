"""`jobsvc doctor`: says what is wrong with a database."""

from typing import Annotated, Any

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what is wrong with the database JOBSVC_DSN, and exit with 1 if anything is.

    Migrations and rights that are missing, jobs that are in no place or in two, rows
    without their job, keys and schemas that do not fit. It changes nothing, and may run
    beside servers; it reads all jobs once. Without JOBSVC_DSN it starts the embedded
    PostgreSQL in JOBSVC_DATA_DIR. See docs/operations/doctor.md.
    """
    import asyncio
    import json

    from jobsvc.cli.existing_database import existing_database
    from jobsvc.cli.startup import log_to_stderr, read_settings, startup_errors
    from jobsvc.store.inconsistencies import find_inconsistencies
    from jobsvc.store.rights import missing_for_serving

    settings = read_settings()
    log_to_stderr()

    async def run() -> list[dict[str, Any]]:
        async with existing_database(settings) as dsn:
            if missing := await missing_for_serving(dsn, settings.schema):
                return [{"kind": "not_ready", "text": text} for text in missing]
            found = await find_inconsistencies(dsn, settings.schema)
            return [
                {"kind": one.kind, "number": one.number, "names": one.names, "text": one.sentence}
                for one in found
            ]

    with startup_errors():
        found = asyncio.run(run())
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print("\n".join(one["text"] for one in found) or "nothing is wrong")
    if found:
        raise typer.Exit(1)
