"""Commands whose help shows a switch by its name alone: Typer would put `<bool>` behind it."""

from typing import Any

from typer.core import TyperCommand, TyperGroup


# Any: Typer does not export the types of Click that it contains.
def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """One command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """The command that has the others."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return _without_types(super().get_params(ctx))
