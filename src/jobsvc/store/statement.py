"""The SQL of this package: one statement a file under queries/, named verb and noun.

The files name the schema of a default installation, so that psql runs them as they are. Every table
is named with its schema, since a search_path may be another's: that of the role, of the database,
or of the session that a pooler lends. PostgreSQL's own functions and operators are not: sessions
and transactions of ours have a path that leads to nothing else.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

#: All are read at import: an upgrade in place changes the files under a running server.
_TEXTS = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in (files(__package__) / "queries").iterdir()
    if file.name.endswith(".sql")
}
_SCHEMA_NAME = re.compile(r"\bjobsvc\b")

#: Statements that a database refuses while it takes no writes.
_WRITES = {
    name
    for name, text in _TEXTS.items()
    if re.search(r"^[^-]*\b(INSERT INTO|DELETE FROM|UPDATE [\w.]+\s+SET)\b", text, re.MULTILINE)
}


def texts(schema: str) -> Mapping[str, str]:
    """Returns the text of every `queries/{name}.sql` by name, with the tables of `schema`."""
    name_of_ours = quoted(schema)
    return {name: _SCHEMA_NAME.sub(lambda _: name_of_ours, text) for name, text in _TEXTS.items()}


def quoted(name: str) -> str:
    """Returns an identifier as SQL takes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def writes(name: str) -> bool:
    """Whether a statement writes."""
    return name in _WRITES
