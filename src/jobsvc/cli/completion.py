"""`jobsvc completion`, and the answers to a shell that asks how a command goes on."""

import os
from enum import StrEnum
from typing import Annotated

import typer

#: Set by the scripts when they ask; named after the command, as Typer expects it.
_ASKS = "_JOBSVC_COMPLETE"


class Shell(StrEnum):
    """A shell that Typer has a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[
        Shell, typer.Argument(metavar="SHELL", help="The shell to complete commands in.")
    ],
) -> None:
    """Print the script that completes this command in a shell.

    For one session: source <(jobsvc completion bash), or | source in fish. For all of them, put
    that line into ~/.bashrc or ~/.zshrc (there behind compinit), or the script into
    ~/.config/fish/completions/jobsvc.fish.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # undeclared

    script = get_completion_script(prog_name="jobsvc", complete_var=_ASKS, shell=shell.value)
    typer.echo(script)


def is_shell_asking() -> bool:
    """Whether this process is to answer a shell. Prepares Typer for that."""
    if _ASKS not in os.environ:
        return False
    from typer.completion import completion_init  # type: ignore[attr-defined]  # undeclared

    completion_init()
    return True
