"""The SQL of this package: one statement a file under queries/, named verb and noun."""

from importlib.resources import files

#: All are read at import: an upgrade in place changes the files under a running server.
_TEXTS = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in (files(__package__) / "queries").iterdir()
    if file.name.endswith(".sql")
}


def sql(name: str) -> str:
    """Returns the text of `queries/{name}.sql`."""
    return _TEXTS[name]
