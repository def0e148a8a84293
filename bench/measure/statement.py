"""The SQL of the measurements: one statement a file under queries/."""

from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """The text of `queries/{name}.sql`."""
    return (files(__package__) / "queries" / f"{name}.sql").read_text(encoding="utf-8")
