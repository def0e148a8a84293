"""Columns of many rows as parameters of one statement, at the lowest cost.

The driver spends a third to two thirds of a microsecond on every element of an array; twenty
columns of a job cost more than the rest of its creation. So a value that repeats is sent once, and
texts are sent as one text that the database splits.
"""

from collections.abc import Sequence
from typing import TypeVar

from jobsvc.domain.lease import LeaseId

T = TypeVar("T")

#: Separates JSON texts, which never contain it: strings must escape it, and it is no whitespace.
SEPARATOR = "\x1f"


def short(column: Sequence[T]) -> Sequence[T]:
    """Shortens a column without NULLs: if all values are equal, only the first is sent.

    `unnest` fills the rest with NULLs; the statement replaces them by `coalesce(x, ($n::…[])[1])`.
    """
    return column[:1] if column.count(column[0]) == len(column) else column


def sparse(column: Sequence[T | None]) -> Sequence[T | None]:
    """Shortens a column that is usually NULL: if all values are NULL, none is sent."""
    return () if column.count(None) == len(column) else column


def spread(column: Sequence[T | None], count: int) -> Sequence[T | None]:
    """A sparse column of `count` rows, from one value for all or a value for each."""
    return () if column.count(None) == len(column) else [*column] * (count // len(column))


def words(column: Sequence[str]) -> str:
    """Joins texts without blanks, for `string_to_array($n, ' ')`."""
    return " ".join(column)


def documents(column: Sequence[str | None]) -> str | None:
    """Joins JSON texts, for `string_to_array($n, E'\\x1f', '')`."""
    if column.count(None) == len(column):
        return None
    return SEPARATOR.join(["" if text is None else text for text in column])


def lease_columns(lease_ids: Sequence[LeaseId]) -> tuple[list[str], list[int]]:
    """Splits lease ids into the columns job_id and lease_id."""
    return [lease.job_id for lease in lease_ids], [lease.number for lease in lease_ids]
