"""A command of `jobsvc`, run in this process against a peer."""

from collections.abc import Callable

from typer.testing import Result

#: Takes the words of the command, and `stdin`.
Run = Callable[..., Result]
