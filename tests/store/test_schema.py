"""A schema of our own: what else is in the database, and what a search_path says, do not matter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from jobsvc.domain.lease import Extension
from jobsvc.settings import SCHEMA
from jobsvc.store.channel import channel_of
from jobsvc.store.ddl import DatabaseUnsuitable, lock_of
from jobsvc.store.hints import Hint, Hints
from jobsvc.store.migrate import migrate
from jobsvc.store.rights import grant
from jobsvc.store.statement import texts
from jobsvc.store.store import Store, open_store
from jobsvc.upkeep.vacuum import TableVacuum
from tests.store.support.samples import COMPLETED, TABLES, counts, create, end, lease, tables_of

OTHER = "order"  # a word of SQL
#: Tables with the names of ours, without a column of ours, in every place that the path names.
HOSTILE = """
    CREATE SCHEMA hostile;
    DO $$
    DECLARE name text;
    BEGIN
        FOR name IN SELECT relname FROM pg_class
            WHERE relnamespace = 'jobsvc'::regnamespace AND relkind IN ('r', 'v')
        LOOP
            EXECUTE format('CREATE TABLE hostile.%I (theirs integer)', name);
            EXECUTE format('CREATE TABLE public.%I (theirs integer)', name);
        END LOOP;
        EXECUTE format('ALTER DATABASE %I SET search_path = hostile, public', current_database());
    END $$
"""

#: Functions that fit the arguments of our statements better than PostgreSQL's own, and so are run.
#: By default everybody may make such a one in `public` before PostgreSQL 15.
TRAPS = """
    CREATE FUNCTION public.trap() RETURNS integer LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'ran % as %', 'a trap', current_user; END $$;
    CREATE FUNCTION public.unnest(text[]) RETURNS SETOF text LANGUAGE sql AS
        $$ SELECT public.trap()::text $$;
    CREATE FUNCTION public.unnest(uuid[]) RETURNS SETOF uuid LANGUAGE sql AS
        $$ SELECT public.trap()::text::uuid $$;
    CREATE FUNCTION public.width_bucket(uuid, uuid[]) RETURNS integer LANGUAGE sql AS
        $$ SELECT public.trap() $$;
    CREATE FUNCTION public.format(text, text, name) RETURNS text LANGUAGE sql AS
        $$ SELECT public.trap()::text $$;
    CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE sql AS
        $$ SELECT public.trap()::text $$
"""


def open_in(dsn: str, schema: str = SCHEMA) -> AbstractAsyncContextManager[Store]:
    return open_store(dsn, "s", pool_size=2, statement_seconds=10, max_queues=10, schema=schema)


@asynccontextmanager
async def listening(hints: Hints) -> AsyncIterator["asyncio.Queue[Hint]"]:
    """The hints that others have sent."""
    heard: asyncio.Queue[Hint] = asyncio.Queue()
    hints.listen(heard.put_nowait)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hints.run())
        async with asyncio.timeout(40):
            await hints.until_probed()
        yield heard
        task.cancel()


async def test_tables_of_others_with_our_names_are_left_alone(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute(HOSTILE)
    assert await migrate(dsn) == []
    async with open_in(dsn) as store:
        job_id = await create(store, unique_key="k")
        (job,) = await lease(store)
        assert await store.lease_ends.ends.submit_one(end(job.id, COMPLETED))
        await TableVacuum(store).run_once()
    assert await tables_of(sql, job_id) == {"job", "result"}
    for schema in ("hostile", "public"):
        await sql.execute(f"SET search_path = {schema}")
        assert set((await counts(sql)).values()) == {0}


async def test_database_with_tables_of_our_names_gets_a_schema_beside_them(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute(HOSTILE)
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    assert await migrate(dsn)
    async with open_in(dsn) as store:
        await create(store)
    assert (await counts(sql))["waiting"] == 1


async def test_functions_of_others_are_not_run(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute(TRAPS)
    await sql.execute("SET search_path = public")
    with pytest.raises(asyncpg.RaiseError, match="a trap"):
        await sql.fetch(texts(SCHEMA)["ready_queues"], ["q"])
    assert await grant(dsn, SCHEMA, "pg_monitor")
    assert await migrate(dsn, OTHER)
    one, two = Hints(dsn, "a"), Hints(dsn, "b")
    async with open_in(dsn) as store, listening(one), listening(two) as heard:
        await create(store)
        assert await store.claims.ready(["q"]) == ["q"]
        (job,) = await lease(store)
        assert await store.leases.extensions.submit_one(Extension(job.id))
        assert await store.lease_ends.ends.submit_one(end(job.id, COMPLETED))
        one.tell(ready=["q"])
        async with asyncio.timeout(40):
            assert await heard.get() == Hint(ready=("q",))


async def test_installations_in_one_database_do_not_see_each_other(
    dsn: str, sql: asyncpg.Connection
) -> None:
    assert await migrate(dsn, OTHER) == [
        r[0] for r in await sql.fetch("SELECT name FROM schema_migration ORDER BY name")
    ]
    async with open_in(dsn) as one, open_in(dsn, OTHER) as other:
        job_id = await create(one, unique_key="k")
        assert not await lease(other)
        assert not await other.jobs.read([job_id])
        other_id = await create(other, unique_key="k")
        (leased,) = await lease(other)
        assert leased.id.job_id == other_id
    assert await counts(sql) == dict.fromkeys(TABLES, 0) | {"job": 1, "waiting": 1, "held_key": 1}


async def test_hints_of_one_installation_are_not_heard_by_the_other(dsn: str) -> None:
    one, two, other = Hints(dsn, "a"), Hints(dsn, "b"), Hints(dsn, "c", schema=OTHER)
    async with listening(other) as heard_elsewhere, listening(two) as heard, listening(one):
        one.tell(ready=["q"])
        async with asyncio.timeout(40):
            assert await heard.get() == Hint(ready=("q",))
        other.tell(ready=["p"])
        assert await heard_elsewhere.get() == Hint(ready=("p",))  # its own
        assert heard_elsewhere.empty()
        assert not other._peers


def test_names_of_installations_fit_and_differ() -> None:
    schemas = [SCHEMA, OTHER, "a" * 63, "a" * 62 + "b"]
    assert len({channel_of(schema) for schema in schemas}) == len(schemas)
    assert len({lock_of(schema) for schema in schemas}) == len(schemas)
    assert all(len(channel_of(schema)) < 64 for schema in schemas)


async def test_one_installation_migrates_while_another_does(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("SELECT pg_advisory_lock($1)", lock_of(SCHEMA))
    async with asyncio.timeout(40):
        assert await migrate(dsn, OTHER)


async def test_migration_that_fails_leaves_nothing(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("CREATE SCHEMA taken; CREATE TABLE taken.worker_stream ()")
    with pytest.raises(DatabaseUnsuitable, match="taken"):
        await migrate(dsn, "taken")
    tables = await sql.fetch("SELECT FROM pg_class WHERE relnamespace = 'taken'::regnamespace")
    assert len(tables) == 1
