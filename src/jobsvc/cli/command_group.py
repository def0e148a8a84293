"""A group of commands under one name, like `jobsvc queues`."""

from collections.abc import Callable, Iterable

import typer

from jobsvc.cli.call_options import OptionsBeforeCommand, before_command
from jobsvc.cli.switches import Command


def command_group(
    name: str,
    help: str,
    commands: Iterable[Callable[..., None]],
    kind: type[OptionsBeforeCommand] = OptionsBeforeCommand,
) -> typer.Typer:
    """Returns a group whose commands have the names of their functions, and take the options of
    every command that calls a server before their name, too."""
    group = typer.Typer(name=name, help=help, no_args_is_help=True)
    group.callback(cls=kind)(before_command)
    for command in commands:
        group.command(name=command.__name__.rstrip("_"), cls=Command)(command)
    return group


def confirm(question: str, is_confirmed: bool) -> None:
    """Asks before something is destroyed, unless that is confirmed already; ends the command with
    exit code 1 if the answer is no, or nobody answers."""
    if not is_confirmed:
        typer.confirm(question, abort=True, err=True)
