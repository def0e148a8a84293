"""The schema that is described is the one that the migrations make; what differs is named, and the
statement that is told with it puts it right."""

import asyncpg
import pytest

from jobsvc.domain.finding import Check
from jobsvc.settings import SCHEMA
from jobsvc.store.migrate import migrate
from jobsvc.store.schema_description import described, find_drift, read_objects

_SECOND = "order"  # a word that SQL takes with quotes only

#: What is done to the schema, what is found, and the words that name it.
CHANGES = [
    ("DROP INDEX waiting_order", Check.SCHEMA_LACKS, "index waiting_order of waiting"),
    ("DROP INDEX job_request", Check.SCHEMA_LACKS, "index job_request of job"),
    (
        "ALTER TABLE result DROP CONSTRAINT result_state_check",
        Check.SCHEMA_LACKS,
        "constraint result_state_check of result",
    ),
    (
        "ALTER TABLE held_key DROP CONSTRAINT held_key_pkey",
        Check.SCHEMA_LACKS,
        "constraint held_key_pkey of held_key",
    ),
    (
        "ALTER TABLE lease DROP COLUMN cancel_reason",
        Check.SCHEMA_LACKS,
        "column cancel_reason of lease",
    ),
    (
        "DROP INDEX result_end; CREATE INDEX result_end ON result (purge_time)",
        Check.SCHEMA_DIFFERS,
        "index result_end of result",
    ),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'result_end'::regclass",
        Check.SCHEMA_DIFFERS,
        "index result_end of result",
    ),
    ("ALTER TABLE held_key SET UNLOGGED", Check.SCHEMA_DIFFERS, "table held_key"),
    (
        "ALTER TABLE lease RESET (autovacuum_vacuum_threshold)",
        Check.OPTIONS_DIFFER,
        "option autovacuum_vacuum_threshold of lease",
    ),
    (
        "ALTER TABLE lease SET (fillfactor = 100)",
        Check.OPTIONS_DIFFER,
        "option fillfactor of lease",
    ),
    ("CREATE INDEX mine ON job (queue)", Check.SCHEMA_ADDS, "index mine of job"),
    ('ALTER TABLE job ADD COLUMN "My Note" text', Check.SCHEMA_ADDS, 'column "My Note" of job'),
    (
        "ALTER TABLE job ADD CONSTRAINT mine CHECK (queue <> 'x')",
        Check.SCHEMA_ADDS,
        "constraint mine of job",
    ),
    (
        "CREATE TRIGGER mine BEFORE UPDATE ON job EXECUTE FUNCTION"
        " suppress_redundant_updates_trigger()",
        Check.SCHEMA_ADDS,
        "trigger mine of job",
    ),
]


async def test_description_is_what_the_migrations_make(sql: asyncpg.Connection) -> None:
    assert described() == await read_objects(sql, SCHEMA), "run tools/describe_schema.py"


@pytest.mark.parametrize("schema", [SCHEMA, _SECOND])
async def test_schema_of_any_name_is_as_described(dsn: str, schema: str) -> None:
    await migrate(dsn, schema)
    assert await find_drift(dsn, schema) == []


@pytest.mark.parametrize("schema", [SCHEMA, _SECOND])
@pytest.mark.parametrize(("change", "check", "words"), CHANGES)
async def test_what_was_changed_is_named_and_its_statement_repairs_it(
    dsn: str, sql: asyncpg.Connection, schema: str, change: str, check: Check, words: str
) -> None:
    await migrate(dsn, schema)
    await sql.execute(f'SET search_path = "{schema}"')
    await sql.execute(change)
    (found,) = await find_drift(dsn, schema)
    assert found.kind == check
    assert found.number == 1
    name, _, repair = found.names[0].partition(": ")
    assert name == words
    await sql.execute("SET search_path = pg_catalog")
    for statement in repair.split("; "):
        await sql.execute(statement)
    assert await find_drift(dsn, schema) == []


async def test_column_of_another_type_is_told_with_what_it_was(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("ALTER TABLE attempt ALTER COLUMN worker_id TYPE varchar(9)")
    (found,) = await find_drift(dsn, SCHEMA)
    assert found.kind == Check.SCHEMA_DIFFERS
    assert found.names == (
        "column worker_id of attempt: it is character varying(9) NOT NULL, and was text NOT NULL",
    )


async def test_table_that_is_gone_is_told_without_its_parts(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("DROP TABLE drained_worker; DROP VIEW lease_terms")
    (found,) = await find_drift(dsn, SCHEMA)
    assert found.kind == Check.SCHEMA_LACKS
    assert found.names == (
        "table drained_worker: restore it from a backup",
        "view lease_terms: restore it from a backup",
    )


async def test_what_is_not_ours_is_left_alone(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute(
        "CREATE TABLE theirs (id integer PRIMARY KEY); CREATE INDEX ON theirs (id);"
        " ALTER TABLE job SET (autovacuum_analyze_threshold = 9);"
        " ALTER TABLE job VALIDATE CONSTRAINT job_max_attempts_check"
    )
    assert await find_drift(dsn, SCHEMA) == []


async def test_schema_of_a_newer_release_is_not_judged(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute(
        "DROP INDEX waiting_order; INSERT INTO schema_migration (name, runs_from)"
        " VALUES ('9999_later', '0006_emptied_jobs')"
    )
    assert await find_drift(dsn, SCHEMA) == []
