"""The SQL of this package: one statement a file under queries/, named verb and noun."""

import re
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


#: Statements that a database refuses while it takes no writes.
_WRITES = {
    name
    for name, text in _TEXTS.items()
    if re.search(r"^[^-]*\b(INSERT INTO|DELETE FROM|UPDATE \w+( \w+)?\s+SET)\b", text, re.MULTILINE)
}


def writes(name: str) -> bool:
    """Whether a statement writes."""
    return name in _WRITES
