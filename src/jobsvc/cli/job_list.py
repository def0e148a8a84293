"""`jobsvc list`: jobs by a filter, as a table or as JSON lines."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.call_options import CallOptions, calls_server
from jobsvc.cli.open_client import open_client
from jobsvc.cli.parse_text import parse_label, parse_moment, parse_words

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import Job, JobFilter

_DEFAULT_LIMIT = 50
_MAX_PAGE = 1000
#: Columns of the table, which fit into 80 with the gaps between them.
_ID_WIDTH, _QUEUE_WIDTH, _STATE_WIDTH, _AGE_WIDTH = 36, 20, 10, 8

_Queues = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME,…", help="In one of these queues."),
]
_States = Annotated[
    list[str] | None,
    typer.Option(metavar="STATE,…", help="In one of these states: PENDING, FAILED, …"),
]
_Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="With all of these labels; give each by itself."),
]
_OwnSession = Annotated[
    bool, typer.Option("--own-session", help="Only jobs of the session in --session.")
]
_OwnUser = Annotated[bool, typer.Option("--own-user", help="Only jobs of the user in --user.")]
_From = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Created then or later: 2026-01-31T12:00Z, or 2h for ago."),
]
_Until = Annotated[str | None, typer.Option(metavar="TIME", help="Created before that.")]


@calls_server
def list_jobs(
    server: CallOptions,
    queues: _Queues = None,
    states: _States = None,
    labels: _Labels = None,
    own_session: _OwnSession = False,
    own_user: _OwnUser = False,
    create_time_from: _From = None,
    create_time_until: _Until = None,
    limit: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most jobs to print.")
    ] = _DEFAULT_LIMIT,
    all_pages: Annotated[bool, typer.Option("--all-pages", help="Print all of them.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Print how many there are.")] = False,
) -> None:
    """List jobs, newest first."""
    now = datetime.now(UTC)
    wanted: JobFilter = {
        "queues": parse_words(queues),
        "states": [_state_name(word) for word in parse_words(states)],
        "labels": dict(parse_label(item) for item in labels or ()),
        "own_session": own_session,
        "own_user": own_user,
    }
    if create_time_from is not None:
        wanted["create_time_from"] = parse_moment(create_time_from, now)
    if create_time_until is not None:
        wanted["create_time_until"] = parse_moment(create_time_until, now)
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


def _state_name(word: str) -> str:
    """Returns a state as the client names it; that of the contract will do, too."""
    return word.upper().removeprefix("JOB_STATE_")


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
