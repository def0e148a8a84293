"""The SQL files: one statement each, with its parameters in the comment, and used."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

import jobsvc.store
from jobsvc.settings import SCHEMA
from jobsvc.store.statement import quoted, texts
from jobsvc.store.store import Store

FOLDER = files(jobsvc.store) / "queries"
TEXTS = texts(SCHEMA)
NAMES = sorted(f.name.removesuffix(".sql") for f in FOLDER.iterdir() if f.name.endswith(".sql"))


def parameters(text: str) -> set[int]:
    return {int(number) for number in re.findall(r"\$(\d+)", text)}


@pytest.mark.parametrize("name", NAMES)
async def test_statement_is_what_the_schema_knows(store: Store, name: str) -> None:
    async with store.database.connection() as connection:
        statement = await connection.prepare(TEXTS[name])
        assert len(statement.get_parameters()) == len(parameters(TEXTS[name]))


@pytest.mark.parametrize("name", NAMES)
async def test_statement_names_the_schema_of_every_table(store: Store, name: str) -> None:
    async with store.database.transaction() as connection:
        await connection.execute("SET LOCAL search_path = ''")
        await connection.prepare(TEXTS[name])


@pytest.mark.parametrize("name", NAMES)
def test_schema_is_named_where_its_name_can_be_replaced(name: str) -> None:
    assert "jobsvc" not in "".join(re.findall(r"'[^']*'", re.sub("--.*", "", TEXTS[name])))


@pytest.mark.parametrize("schema", ["a", 'say "a"', "back\\slash", "\\1", "order", "Ünï-code; --"])
async def test_any_identifier_is_quoted(store: Store, schema: str) -> None:
    async with store.database.connection() as connection:
        (row,) = await connection.fetch(f"SELECT 1 AS {quoted(schema)}")
    assert list(row.keys()) == [schema]
    assert f"{quoted(schema)}.secret" in texts(schema)["read_secret"]


@pytest.mark.parametrize("name", NAMES)
def test_first_comment_names_every_parameter(name: str) -> None:
    lines = TEXTS[name].splitlines()
    size = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    head, body = "\n".join(lines[:size]), "\n".join(lines[size:])
    assert size > 0
    assert parameters(body) <= parameters(head)
    assert parameters(body) == set(range(1, len(parameters(body)) + 1))
    assert ";" not in body, "one statement a file, without an end of its own"


@pytest.mark.parametrize("name", NAMES)
def test_statement_is_used(name: str) -> None:
    folder = Path(jobsvc.store.__file__).parent
    sources = [path.read_text(encoding="utf-8") for path in folder.glob("*.py")]
    assert any(f'"{name}"' in source for source in sources)


@pytest.mark.parametrize("name", NAMES)
def test_statement_takes_the_clock_of_the_moment(name: str) -> None:
    """now() stands still while the statement waits for a lock."""
    assert not re.search(r"\bnow\(\)|current_timestamp|localtimestamp", TEXTS[name].lower())
