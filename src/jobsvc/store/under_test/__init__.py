"""The database of a server under test: a clock that can be moved, and what tests ask about jobs.

Every statement asks the database for the time, by one of two functions. Under a movable clock its
text has a shift added to each, which is a row in a table beside the jobs, equal for all replicas.
Without one no statement is different by a character (ADR 27).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.resources import files

from jobsvc.domain.job import ENDED, JobState
from jobsvc.store.database import Database
from jobsvc.store.ddl import ddl_transaction
from jobsvc.store.statement import quoted, texts

_TEXTS = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in files(__package__).iterdir()
    if file.name.endswith(".sql")
}
_SCHEMA_NAME = re.compile(r"\bjobsvc\b")
_NOW = re.compile(r"\b(?:clock|statement)_timestamp\(\)")


def movable_texts(schema: str) -> Mapping[str, str]:
    """Returns the text of every statement under a movable clock, and those of the clock."""
    name = quoted(schema)
    own = {key: _SCHEMA_NAME.sub(lambda _: name, text) for key, text in _TEXTS.items()}
    return {key: _shifted(text, name) for key, text in {**texts(schema), **own}.items()}


def _shifted(text: str, schema: str) -> str:
    return _NOW.sub(lambda now: f"({now[0]} + {schema}.clock_shift())", text)


async def make_clock_movable(dsn: str, schema: str) -> None:
    """Prepares a database for `DatabaseUnderTest`: a table, a function, the defaults of columns.

    Raises: as `ddl_transaction`.
    """
    name = quoted(schema)
    async with ddl_transaction(dsn, schema) as connection:
        for statement in ("make_table", "first_shift", "make_function"):
            await connection.execute(_SCHEMA_NAME.sub(lambda _: name, _TEXTS[statement]))
        columns = _TEXTS["columns_with_clock"].replace("'jobsvc'", "$1")
        for row in await connection.fetch(columns, schema):
            await connection.execute(_shifted(row["statement"], name))


class DatabaseUnderTest:
    """A database that `make_clock_movable` has prepared."""

    def __init__(self, database: Database) -> None:
        """`database` has the statements of `movable_texts`."""
        self._database = database

    async def advance(self, seconds: float) -> timedelta:
        """Moves the clock, at once for every statement that begins later. Returns the whole shift.

        Leases and the presence of workers move along, as if every process had lived through the
        time; the deadlines of attempts do not.
        """
        (row,) = await self._database.fetch("advance", seconds)
        shift: timedelta = row["shift"]
        return shift

    async def is_overdue(self) -> bool:
        """Whether a job has expired, or is to be removed, and upkeep has not come to it yet."""
        (row,) = await self._database.fetch("overdue")
        overdue: bool = row["overdue"]
        return overdue

    async def next_due_seconds(self, queues: Sequence[str]) -> float | None:
        """Returns the time until the next job of these queues may run, None if none waits."""
        (row,) = await self._database.fetch("next_due", queues)
        seconds: float | None = row["seconds"]
        return seconds and max(seconds, 0.0)

    async def count_ended(self, queues: Sequence[str]) -> Mapping[JobState, int]:
        """Counts the jobs of these queues that have ended, by state."""
        rows = await self._database.fetch("count_ended", queues)
        return dict.fromkeys(ENDED, 0) | {JobState(row["state"]): row["jobs"] for row in rows}
