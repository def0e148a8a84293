"""`jobsvc audit`: who changed what."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.parse_text import parse_moment, parse_words

if TYPE_CHECKING:
    from jobsvc.domain.audit_entry import AuditEntry

_DEFAULT_LIMIT = 50


def audit(
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Not before this: ISO 8601, or 2h for two hours ago."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Before this, written in the same way.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method", metavar="NAME", help="CancelJob, PurgeQueue, …; may be given repeatedly."
        ),
    ] = None,
    identity: Annotated[
        str | None, typer.Option(metavar="NAME", help="Calls of this identity.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="About this job, queue, worker, bulk operation or key."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most entries to print.")
    ] = _DEFAULT_LIMIT,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, an entry a line.")] = False,
) -> None:
    """Print who changed what, newest first, from the database JOBSVC_DSN.

    Jobs that were cancelled, retried, updated and deleted, bulk operations, queues that
    were changed, workers that were drained, API keys that were made and revoked, and
    calls that were refused for want of a role. Without JOBSVC_DSN it reads the embedded
    PostgreSQL in JOBSVC_DATA_DIR, beside a server that runs on it. See
    docs/operations/audit.md.
    """
    import asyncio

    from jobsvc.cli.existing_database import shared_database
    from jobsvc.cli.startup import log_to_stderr, read_settings, startup_errors
    from jobsvc.domain.audit_entry import KEY_METHODS
    from jobsvc.domain.methods import METHODS, OTHER_METHODS
    from jobsvc.store.audit import read_audit

    now = datetime.now(UTC)
    first = None if since is None else parse_moment(since, now)
    end = None if until is None else parse_moment(until, now)
    names = parse_words(methods)
    known = {*(method.name for method in METHODS), *OTHER_METHODS, *KEY_METHODS}
    if unknown := sorted({*names} - known):
        raise typer.BadParameter(f"there is no method {', '.join(unknown)}")
    settings = read_settings()
    log_to_stderr()

    async def run() -> "list[AuditEntry]":
        async with shared_database(settings) as dsn:
            return await read_audit(
                dsn,
                settings.schema,
                since=first,
                until=end,
                methods=names,
                identity=identity,
                target=target,
                limit=limit,
            )

    with startup_errors():
        entries = asyncio.run(run())
    for line in map(_json, entries) if as_json else _table(entries):
        typer.echo(line)


def _table(entries: "list[AuditEntry]") -> Iterator[str]:
    """Yields two lines for each entry, neither of more than 80 columns unless a name is long: what
    was done, and below it by whom."""
    from jobsvc.cli.job_text import time_text
    from jobsvc.plain_text import one_line

    for entry in entries:
        assert entry.time is not None, "it was read"
        count = f" ({entry.calls} calls)" if entry.calls > 1 else ""
        yield one_line(f"{time_text(entry.time)}  {entry.method} {entry.target}".rstrip())
        user = f", user {entry.user_id}" if entry.user_id else ""
        who = f"{entry.identity or 'somebody'}{user} from {entry.peer}"
        yield one_line(f"  {entry.outcome}{count}, {who}")


def _json(entry: "AuditEntry") -> str:
    import json
    from dataclasses import asdict

    from jobsvc.plain_text import json_text

    return json_text(
        json.dumps(asdict(entry), ensure_ascii=False, default=lambda time: time.isoformat())
    )
