"""The SQL of the measurements: it reads the tables of a default installation."""

from importlib.resources import files

import asyncpg
import pytest

import bench.measure
from bench.measure.statement import sql as text_of

NAMES = sorted(f.name.removesuffix(".sql") for f in (files(bench.measure) / "queries").iterdir())


@pytest.mark.parametrize("name", NAMES)
async def test_statement_names_the_schema_of_every_table(
    sql: asyncpg.Connection, name: str
) -> None:
    text = text_of(name)
    if "uuidv7" in text and sql.get_server_version().major < 18:
        pytest.skip("uuidv7() is of PostgreSQL 18")
    if "pg_stat_statements" in text:
        pytest.skip("the server of a measurement has the extension")
    await sql.execute("SET search_path = ''")
    await sql.prepare(text)  # raises for a table without its schema
