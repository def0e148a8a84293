"""Commands whose help shows a switch by its name alone, where Typer would put `<bool>` behind it,
and whose paragraphs fit the terminal."""

from inspect import cleandoc
from typing import Any

from typer.core import TyperCommand, TyperGroup


# Any: Typer does not export the types of Click that it contains.
def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def _flowing(text: str | None) -> str | None:
    """Returns a help text whose paragraphs have one line each: a terminal breaks them anew, but
    keeps the breaks of a docstring."""
    if text is None:
        return None
    return "\n\n".join(" ".join(part.split()) for part in cleandoc(text).split("\n\n"))


class Command(TyperCommand):
    """One command."""

    # Any: all that Typer gives a command.
    def __init__(self, *arguments: Any, **values: Any) -> None:
        super().__init__(*arguments, **values)
        self.help = _flowing(self.help)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """The command that has the others."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return _without_types(super().get_params(ctx))
