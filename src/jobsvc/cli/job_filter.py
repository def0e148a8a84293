"""The options that select jobs, spelled as in the contract."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from jobsvc.cli.parse_text import parse_label, parse_moment, parse_words

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import JobFilter

Queues = Annotated[
    list[str] | None,
    typer.Option("--queues", "--queue", metavar="NAME,…", help="In one of these queues."),
]
States = Annotated[
    list[str] | None,
    typer.Option(metavar="STATE,…", help="In one of these states: PENDING, FAILED, …"),
]
Labels = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="With all of these labels; give each by itself."),
]
OwnSession = Annotated[
    bool, typer.Option("--own-session", help="Only jobs of the session in --session.")
]
OwnUser = Annotated[bool, typer.Option("--own-user", help="Only jobs of the user in --user.")]
From = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Created then or later: 2026-01-31T12:00Z, or 2h for ago."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Created before that.")]


def job_filter(
    queues: Sequence[str] | None,
    states: Sequence[str] | None,
    labels: Sequence[str] | None,
    own_session: bool,
    own_user: bool,
    create_time_from: str | None,
    create_time_until: str | None,
    now: datetime,
) -> "JobFilter":
    """Returns what the options select."""
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
    return wanted


def _state_name(word: str) -> str:
    """Returns a state as the client names it; that of the contract will do, too."""
    return word.upper().removeprefix("JOB_STATE_")
