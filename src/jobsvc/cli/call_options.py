"""The options of every command that calls a server: where it is, TLS, who asks, how to print.

They are accepted before the command and after it, and declared once: a new one
is a field of `CallOptions`.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from jobsvc.cli.switches import Group
from jobsvc.release import installed_release

Options = TypeVar("Options")
P = ParamSpec("P")


# Any: the declared result of `typer.Option`.
def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="Server and output", **more)


Target = Annotated[
    str, _option("Address of the server.", metavar="HOST:PORT", envvar="JOBSVC_TARGET")
]
Tls = Annotated[bool, _option("Call over TLS.", "--tls", envvar="JOBSVC_TLS")]
Ca = Annotated[
    Path | None,
    _option(
        "Certificates to trust (PEM); turns on TLS.",
        "--ca",
        metavar="FILE",
        envvar="JOBSVC_CA",
    ),
]
Cert = Annotated[
    Path | None,
    _option(
        "Certificate to show to the server (PEM); turns on TLS.",
        "--cert",
        metavar="FILE",
        envvar="JOBSVC_CERT",
    ),
]
Key = Annotated[
    Path | None,
    _option("Key of that certificate (PEM).", "--key", metavar="FILE", envvar="JOBSVC_KEY"),
]
_Session = Annotated[
    str | None, _option("Act for this session.", metavar="ID", envvar="JOBSVC_SESSION_ID")
]
_User = Annotated[str | None, _option("Act for this user.", metavar="ID", envvar="JOBSVC_USER_ID")]
_Token = Annotated[
    str | None, _option("Bearer token of the caller.", metavar="TEXT", envvar="JOBSVC_TOKEN")
]
TokenFile = Annotated[
    Path | None,
    _option(
        "File of that token, without --token.",
        "--token-file",
        metavar="FILE",
        envvar="JOBSVC_TOKEN_FILE",
    ),
]
_AsJson = Annotated[bool, _option("Print JSON.", "--json")]

DEFAULT_TARGET = "127.0.0.1:50051"


# No repr: it would show the token.
@dataclass(frozen=True, slots=True, repr=False)
class CallOptions:
    """The values of these options, in the order of the help."""

    target: Target = DEFAULT_TARGET
    tls: Tls = False
    ca: Ca = None
    cert: Cert = None
    key: Key = None
    session: _Session = None
    user: _User = None
    token: _Token = None
    token_file: TokenFile = None
    as_json: _AsJson = False


def takes(
    kind: Callable[..., Options],
) -> Callable[[Callable[Concatenate[Options, P], None]], Callable[P, None]]:
    """Gives a command the options of a dataclass, and passes them to it as one value, its first
    parameter."""

    def decorate(command: Callable[Concatenate[Options, P], None]) -> Callable[P, None]:
        own = list(inspect.signature(command).parameters.values())[1:]
        shared = inspect.signature(kind).parameters

        @functools.wraps(command)
        def run(*arguments: P.args, **values: P.kwargs) -> None:
            command(kind(**{name: values.pop(name) for name in shared}), *arguments, **values)

        _declare(run, [*own, *shared.values()])
        return run

    return decorate


def calls_server(command: Callable[Concatenate[CallOptions, P], None]) -> Callable[P, None]:
    """Gives a command the options of `CallOptions`, and passes them to it as one value."""
    return takes(CallOptions)(command)


def _declare(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    # Typer reads both.
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jobsvc {installed_release() or 'of no release: it is not installed'}")
        raise typer.Exit


_Version = Annotated[
    bool, typer.Option("--version", help="Print the release.", callback=_print_version)
]


# Any: `OptionsBeforeCommand` hands the values on.
def before_command(**_: Any) -> None:
    """Takes the options that may stand before a command."""


_declare(
    before_command,
    [
        *inspect.signature(CallOptions).parameters.values(),
        inspect.Parameter(
            "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_Version
        ),
    ],
)


class OptionsBeforeCommand(Group):
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
                before += [option.opts[0]] if value is True else [option.opts[0], str(value)]
        return name, command, [*before, *rest]
