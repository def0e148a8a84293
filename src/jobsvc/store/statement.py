"""The SQL of this package: one statement a file under queries/, named noun and verb."""

from importlib.resources import files

#: All of them at once: an upgrade in place changes the files under a server that is running.
_TEXTS = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in (files(__package__) / "queries").iterdir()
    if file.name.endswith(".sql")
}


def sql(name: str) -> str:
    """The text of `queries/{name}.sql`."""
    return _TEXTS[name]
