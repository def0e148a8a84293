"""`jobsvc keys`: makes, lists and revokes API keys, in the database of JOBSVC_DSN or in that of the
embedded PostgreSQL, whether a server runs on it or not."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from jobsvc.cli.switches import Command, Group

if TYPE_CHECKING:
    from jobsvc.store.credentials import CredentialStore

T = TypeVar("T")

_STATEMENT_SECONDS = 10.0
_DAY_SECONDS = 86_400.0
_MAX_DAYS = 3660


def create(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Whose key it is: its jobs belong to the service key:NAME."
        ),
    ],
    role: Annotated[
        list[str], typer.Option(metavar="ROLE", help="A role; may come more than once.")
    ],
    queue: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="A queue that jobs.worker is for, `*` for any letters; may come more than once.",
        ),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(metavar="DAYS", help="How long it is valid.", show_default="for ever"),
    ] = None,
) -> None:
    """Make an API key, and print it: this once, since only a digest is kept.

    A second key of the same name is the same caller, so that the first may be
    revoked when everybody has the second.
    """
    import secrets

    from jobsvc.domain.access_policy import complaint_about_grant
    from jobsvc.domain.api_key import ID_BYTES, NAME, NAME_RULE, SECRET_BYTES, write_key
    from jobsvc.domain.identity import ROLES, Grant

    if not NAME.fullmatch(name):
        raise typer.BadParameter(f"NAME {NAME_RULE}")
    for given in role:
        if given not in ROLES:
            raise typer.BadParameter(f"there is no role {given}, but {', '.join(ROLES)}")
    grant = Grant(tuple(role), tuple(queue or ()))
    if complaint := complaint_about_grant(grant):
        raise typer.BadParameter(f"{complaint}: --queue")
    if days is not None and not 0 < days <= _MAX_DAYS:
        raise typer.BadParameter(f"--days must be between 0 and {_MAX_DAYS}")
    key, key_id, digest = write_key(
        secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES)
    )
    seconds = None if days is None else days * _DAY_SECONDS

    async def run(keys: "CredentialStore") -> None:
        await keys.create_key(key_id, name, digest, grant.roles, grant.queues, seconds)

    _run(run, key_id)
    typer.echo(f"the key {key_id} of {name} is not shown again", err=True)
    print(key)


def list_() -> None:
    """List all API keys: whose they are, what they are for, and when they were last used."""
    found = _run(lambda keys: keys.list_keys())
    now = datetime.now(UTC)
    from rich.table import Table

    from jobsvc.cli.console import new_console

    table = Table(box=None, pad_edge=False)
    for title in ("ID", "NAME", "ROLES", "QUEUES", "MADE", "LAST USE", "STATE"):
        table.add_column(title, overflow="fold")
    for key in found:
        state = "revoked" if key.revoke_time else "expired" if key.has_expired(now) else "usable"
        if state == "usable" and key.expire_time is not None:
            state = f"until {_text(key.expire_time)}"
        table.add_row(
            key.id,
            key.name,
            " ".join(key.roles),
            " ".join(key.queues),
            _text(key.create_time),
            _text(key.last_use_time),
            state,
        )
    new_console().print(table)


def revoke(
    key_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `list` shows them.")],
) -> None:
    """Revoke API keys: within a second no replica takes them, and their streams end."""
    for key_id in key_ids:
        name = _run(lambda keys, key_id=key_id: keys.revoke_key(key_id), key_id)  # type: ignore[misc]
        if name is None:
            typer.echo(f"jobsvc: there is no key {key_id}", err=True)
            raise typer.Exit(1)
        print(f"revoked {key_id} of {name}")


def _run(work: "Callable[[CredentialStore], Awaitable[T]]", changed: str = "") -> T:
    """Runs statements on the database that the settings name. Lets the replicas hear of the key
    that has `changed`."""
    import asyncio

    from jobsvc.cli.existing_database import shared_database
    from jobsvc.cli.startup import log_to_stderr, read_settings, startup_errors
    from jobsvc.store.channel import channel_of
    from jobsvc.store.credentials import CredentialStore
    from jobsvc.store.database import open_database

    settings = read_settings()
    log_to_stderr()

    async def run() -> T:
        async with (
            shared_database(settings) as dsn,
            open_database(dsn, 1, _STATEMENT_SECONDS, settings.schema) as database,
        ):
            keys = CredentialStore(database)
            result = await work(keys)
            if changed:
                await keys.tell_changed(channel_of(settings.schema), changed)
            return result

    with startup_errors():
        return asyncio.run(run())


def _text(time: datetime | None) -> str:
    return "" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


app = typer.Typer(
    name="keys", cls=Group, help="Make, list and revoke API keys.", no_args_is_help=True
)
for command in (create, list_, revoke):
    app.command(name=command.__name__.rstrip("_"), cls=Command)(command)
