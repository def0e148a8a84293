"""The options that say which jobs a command is about, spelled as in the contract."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobsvc.cli.parse_text import parse_label, parse_moment, parse_words

if TYPE_CHECKING:  # gRPC takes a while to import; `jobsvc --help` does without
    from jobsvc.client import JobFilter


# Any: the declared result of `typer.Option`.
def _filter(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="Which jobs", **more)


Queues = Annotated[
    list[str] | None,
    _filter("In one of these queues.", "--queues", "--queue", metavar="NAME,…"),
]
States = Annotated[
    list[str] | None,
    _filter("In one of these states: PENDING, FAILED, …", "--states", "--state", metavar="STATE,…"),
]
Labels = Annotated[
    list[str] | None,
    _filter("With all of these labels; give each by itself.", metavar="KEY=VALUE"),
]
OwnSession = Annotated[bool, _filter("Only jobs of the session in --session.", "--own-session")]
OwnUser = Annotated[bool, _filter("Only jobs of the user in --user.", "--own-user")]
From = Annotated[
    str | None,
    _filter("Created then or later: 2026-01-31T12:00Z, or 2h for ago.", metavar="TIME"),
]
Until = Annotated[str | None, _filter("Created before that.", metavar="TIME")]


def read_filter(
    queues: list[str] | None,
    states: list[str] | None,
    labels: list[str] | None,
    own_session: bool,
    own_user: bool,
    create_time_from: str | None,
    create_time_until: str | None,
    now: datetime,
) -> "JobFilter":
    """Returns the filter that these options are."""
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
    from jobsvc.client.job import JobState

    name = word.upper().removeprefix("JOB_STATE_")
    known = [state.value for state in JobState if state is not JobState.UNKNOWN]
    if name not in known:
        raise typer.BadParameter(f"{word!r} is no state; there are {', '.join(known)}")
    return name
