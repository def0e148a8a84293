"""Columns of many rows as parameters of one statement, at the least cost.

The driver takes a third to two thirds of a microsecond for every element of an array, whatever is
in it; twenty columns of a job cost more than all else that is done to create it. What repeats is
sent once, and what is text is sent as one text that the database takes apart.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

#: Stands between texts that are JSON, which never holds it: it may not stand in a string unescaped,
#: and not outside of one at all.
SEPARATOR = "\x1f"


def short(column: Sequence[T]) -> Sequence[T]:
    """A column that is never NULL: its first value stands for all if they are equal.

    `unnest` fills up with NULLs; the statement has `coalesce(x, ($n::…[])[1])` for them.
    """
    return column[:1] if column.count(column[0]) == len(column) else column


def sparse(column: Sequence[T | None]) -> Sequence[T | None]:
    """A column that may be NULL, and mostly is: nothing at all if it is NULL throughout."""
    return () if column.count(None) == len(column) else column


def spread(column: Sequence[T | None], count: int) -> Sequence[T | None]:
    """A sparse column of `count` rows, from one value for all or a value for each."""
    return () if column.count(None) == len(column) else [*column] * (count // len(column))


def words(column: Sequence[str]) -> str:
    """Texts without blanks, for `string_to_array($n, ' ')`."""
    return " ".join(column)


def documents(column: Sequence[str | None]) -> str | None:
    """JSON texts, for `string_to_array($n, E'\\x1f', '')`."""
    if column.count(None) == len(column):
        return None
    return SEPARATOR.join(["" if text is None else text for text in column])
