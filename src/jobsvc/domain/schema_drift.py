"""How the tables of a database differ from those that the migrations make. Pure."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from jobsvc.domain.finding import Check, Finding, finding_of

_INVALID = " (invalid)"


class SchemaObject(NamedTuple):
    """A relation of ours, or a part of one. Names are as SQL takes them."""

    #: `table`, `view`, `option`, `column`, `constraint`, `index` or `trigger`.
    kind: str
    #: The table or view.
    relation: str
    #: Of the part; empty for the relation itself.
    name: str
    definition: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return self[:3]

    @property
    def words(self) -> str:
        """What it is, in words."""
        of = f"{self.name} of {self.relation}" if self.name else self.relation
        return f"{self.kind} {of}"


def drift(
    expected: Collection[SchemaObject], found: Collection[SchemaObject], schema: str
) -> Iterator[Finding]:
    """What a database lacks of the expected, has in another form, or has besides; each with the
    statement that repairs it where there is one. `schema` is the schema's name as SQL takes it.

    Tables beside ours are nobody's concern, nor are options of tables that we leave open."""
    there = {one.key: one for one in found}
    wanted = {one.key: one for one in expected}
    relations = {one.relation for one in expected}
    lost = {o.relation for o in expected if not o.name and o.key not in there}
    missing = [o for o in expected if o.key not in there and (not o.name or o.relation not in lost)]
    if lacking := [o for o in missing if o.kind != "option"]:
        yield finding_of(
            Check.SCHEMA_LACKS,
            "{n} parts of the schema are missing: statements fail or crawl without them",
            [_described(o, _maker(o, schema)) for o in lacking],
        )
    changed = [(o, there[o.key]) for o in expected if o.key in there and there[o.key] != o]
    differing = [(want, now) for want, now in changed if want.kind != "option"]
    if differing:
        yield finding_of(
            Check.SCHEMA_DIFFERS,
            "{n} parts of the schema are not as they were made",
            [_described(want, _changer(want, now, schema)) for want, now in differing],
        )
    options = [o for o in missing + [want for want, _ in changed] if o.kind == "option"]
    if options:
        yield finding_of(
            Check.OPTIONS_DIFFER,
            "{n} options of tables are not as they were made: vacuum comes late, or pages fill up",
            [_described(o, _maker(o, schema)) for o in options],
        )
    more = [
        o
        for o in found
        if o.key not in wanted and o.relation in relations and o.name and o.kind != "option"
    ]
    if more:
        yield finding_of(
            Check.SCHEMA_ADDS,
            "{n} parts of the schema are not of jobsvc: each write pays for them, and may fail",
            [_described(o, _remover(o, schema)) for o in more],
        )


def _described(one: SchemaObject, statement: str) -> str:
    return f"{one.words}: {statement}"


def _maker(one: SchemaObject, schema: str) -> str:
    """The statement that makes what is missing."""
    table = f"{schema}.{one.relation}"
    match one.kind:
        case "column":
            return f"ALTER TABLE {table} ADD COLUMN {one.name} {one.definition}"
        case "constraint":
            return f"ALTER TABLE {table} ADD CONSTRAINT {one.name} {one.definition}"
        case "index":
            made = one.definition.replace(" ON ", f" ON {schema}.", 1)
            return made.replace("INDEX ", "INDEX CONCURRENTLY ", 1)
        case "option":
            return f"ALTER TABLE {table} SET ({one.name} = {one.definition})"
    return "restore it from a backup"


def _changer(want: SchemaObject, now: SchemaObject, schema: str) -> str:
    """The statement that brings back what was changed."""
    table = f"{schema}.{want.relation}"
    match want.kind:
        case "table":
            return f"ALTER TABLE {table} SET {want.definition}"
        case "index" if now.definition == want.definition + _INVALID:
            return f"REINDEX INDEX CONCURRENTLY {schema}.{want.name}"
        case "constraint" | "index":
            return f"{_remover(want, schema)}; {_maker(want, schema)}"
    return f"it is {now.definition or 'nothing'}, and was {want.definition}"


def _remover(one: SchemaObject, schema: str) -> str:
    """The statement that removes what is not ours."""
    table = f"{schema}.{one.relation}"
    match one.kind:
        case "index":
            return f"DROP INDEX CONCURRENTLY {schema}.{one.name}"
        case "trigger":
            return f"DROP TRIGGER {one.name} ON {table}"
    return f"ALTER TABLE {table} DROP {one.kind.upper()} {one.name}"
