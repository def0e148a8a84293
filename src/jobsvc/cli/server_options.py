"""The options of every command that calls a server: where it is, who asks, how to print.

They are accepted before the command and after it, and declared once: a new one
is a field of `ServerOptions`.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from typer.core import TyperGroup

P = ParamSpec("P")

_PANEL = "Server and output"

Target = Annotated[
    str,
    typer.Option(
        metavar="HOST:PORT",
        envvar="JOBSVC_TARGET",
        help="Address of the server.",
        rich_help_panel=_PANEL,
    ),
]
DEFAULT_TARGET = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The values of these options, in the order of the help."""

    target: Target = DEFAULT_TARGET
    session: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            envvar="JOBSVC_SESSION_ID",
            help="Act for this session.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    user: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            envvar="JOBSVC_USER_ID",
            help="Act for this user.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="JOBSVC_TOKEN",
            help="Bearer token of the caller.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_PANEL)] = (
        False
    )


def calls_server(command: Callable[Concatenate[ServerOptions, P], None]) -> Callable[P, None]:
    """Gives a command the options of `ServerOptions`, and passes them to it as one value."""
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = inspect.signature(ServerOptions).parameters

    @functools.wraps(command)
    def run(*arguments: P.args, **values: P.kwargs) -> None:
        options = ServerOptions(**{name: values.pop(name) for name in shared})  # type: ignore[arg-type]
        command(options, *arguments, **values)

    # Typer reads both.
    parameters = [*own, *shared.values()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


class OptionsBeforeCommand(TyperGroup):
    """Hands the options before a command to it, as if they stood after its name.

    Hence an option after the name wins, and a command refuses an option that it
    does not have.
    """

    # Any: Typer does not export the types of Click that it contains.
    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        before: list[str] = []
        for option in self.params:
            if ctx.get_parameter_source(option.name).name == "COMMANDLINE":
                value = ctx.params[option.name]
                before += [option.opts[0]] if value is True else [option.opts[0], value]
        return name, command, [*before, *rest]
