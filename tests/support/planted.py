"""Secrets that tests hand out, and the search for them wherever something is written down.

Whoever makes a token, a key or a password for a test plants it. `tests/conftest.py` looks for what
is planted in the log of every test and in the tables of every database that a test leaves behind,
and `Stage` in all that processes have said and in their spans.
"""

from collections import deque
from collections.abc import Mapping
from pathlib import Path

import asyncpg

#: Enough for a test and those around it.
_PLANTED: deque[str] = deque(maxlen=1000)
_MIN_CHARACTERS = 12


def plant(secret: str) -> str:
    """Notes a secret that must not be found again, and returns it."""
    assert len(secret) >= _MIN_CHARACTERS, "a shorter text is anywhere"
    if secret not in _PLANTED:
        _PLANTED.append(secret)
    return secret


def plant_token(token: str) -> str:
    """Notes a token by its last part, which no other has, and returns it."""
    plant(token.rpartition(".")[2])
    return token


def plant_key(pem: bytes) -> bytes:
    """Notes the text of a private key by its lines, and returns it."""
    lines = pem.decode().splitlines()[1:-1]
    for line in lines:
        if len(line) >= _MIN_CHARACTERS:
            plant(line)
    return pem


def found_in(texts: Mapping[str, str]) -> list[str]:
    """Where something planted is, in some texts by name, each with the line."""
    return [
        f"{secret} in {name}: {_line(text, secret)}"
        for name, text in texts.items()
        for secret in _PLANTED
        if secret in text
    ]


def _line(text: str, secret: str) -> str:
    return next(line for line in text.splitlines() if secret in line)


def texts_in(folder: Path) -> dict[str, str]:
    """What files of a folder, and of those in it, say."""
    return {
        str(path): path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()
    }


async def dump(dsn: str) -> str:
    """Every row of every table of jobsvc in a database, and what a database shows of statements."""
    # A test may have put functions of its own in the way of those of PostgreSQL.
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "pg_catalog"})
    try:
        names = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        tables = [await connection.fetch(f"SELECT t::text FROM {name[0]} AS t") for name in names]
        tables.append(
            await connection.fetch("SELECT query, application_name FROM pg_stat_activity")
        )
    finally:
        await connection.close()
    return "\n".join(str(tuple(row)) for rows in tables for row in rows)


def is_anything_planted() -> bool:
    """Whether there is something to look for."""
    return bool(_PLANTED)
