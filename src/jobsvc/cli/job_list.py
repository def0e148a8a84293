"""`jobsvc list`: jobs by a filter, as a table or as JSON lines."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.filter_options import (
    From,
    Labels,
    OwnSession,
    OwnUser,
    Queues,
    States,
    Until,
    read_filter,
)
from jobsvc.cli.open_client import open_client

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Job

_DEFAULT_LIMIT = 50
_MAX_PAGE = 1000
#: Columns of the table, which fit into 80 with the gaps between them.
_ID_WIDTH, _QUEUE_WIDTH, _STATE_WIDTH, _AGE_WIDTH = 36, 20, 10, 8


@calls_server
def list_jobs(
    server: CallOptions,
    queues: Queues = None,
    states: States = None,
    labels: Labels = None,
    own_session: OwnSession = False,
    own_user: OwnUser = False,
    create_time_from: From = None,
    create_time_until: Until = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most jobs to print.")
    ] = _DEFAULT_LIMIT,
    all_pages: Annotated[bool, typer.Option("--all-pages", help="Print all of them.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Print how many there are.")] = False,
) -> None:
    """List jobs, newest first."""
    now = datetime.now(UTC)
    wanted = read_filter(
        queues,
        states,
        labels,
        own_session,
        own_user,
        create_time_from,
        create_time_until,
        now,
    )
    with open_client(server) as client:
        from jobsvc.cli.job_text import job_json

        try:
            if count:
                found = client.count_jobs(**wanted)
                about = "about " if found.is_estimate else ""
                typer.echo(job_json(found) if server.as_json else f"{about}{found.count}")
                return
            page_size = _MAX_PAGE if all_pages else min(limit, _MAX_PAGE)
            jobs: Iterable[Job] = client.list_jobs(page_size=page_size, **wanted)
            if not all_pages:
                jobs = islice(jobs, limit)
            for line in map(job_json, jobs) if server.as_json else _table(jobs, now):
                typer.echo(line)
        except ValueError as error:  # a state that does not exist
            raise typer.BadParameter(str(error)) from None


# The name of the command, which is that of a type in Python.
list_jobs.__name__ = "list"


def _table(jobs: "Iterable[Job]", now: datetime) -> Iterator[str]:
    """Yields the lines of a table, which begins with the first job."""
    for number, job in enumerate(jobs):
        if number == 0:
            yield _row("JOB", "QUEUE", "STATE", "AGE")
        age = "" if job.create_time is None else age_text(now - job.create_time)
        yield _row(job.id, job.queue, job.state.name, age)


def _row(job_id: str, queue: str, state: str, age: str) -> str:
    if len(queue) > _QUEUE_WIDTH:
        queue = queue[: _QUEUE_WIDTH - 1] + "…"
    return (
        f"{job_id:<{_ID_WIDTH}}  {queue:<{_QUEUE_WIDTH}}  {state:<{_STATE_WIDTH}}"
        f"{age:>{_AGE_WIDTH}}"
    )


def age_text(age: timedelta) -> str:
    """Returns an age in its largest unit. Pure."""
    seconds = max(int(age.total_seconds()), 0)
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
