"""Tables of an older release: recognised, and moved with everything in them, or left alone."""

import asyncio

import asyncpg
import pytest

from jobsvc.sd_notify import ServiceManager
from jobsvc.server_process import until_prepared
from jobsvc.settings import SCHEMA, Settings
from jobsvc.store.ddl import DatabaseUnsuitable
from jobsvc.store.migrate import migrate, move
from jobsvc.store.migration import read_migrations, relations_of
from jobsvc.store.store import open_store
from tests.store.support.former_release import LATEST, install
from tests.store.support.samples import COMPLETED, create, end, lease, tables_of

RELATIONS = """SELECT relname::text FROM pg_class
    WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'v', 'S')
        AND relname <> 'payload_schema_id_seq'"""


async def relations(sql: asyncpg.Connection, schema: str) -> set[str]:
    return {row[0] for row in await sql.fetch(RELATIONS, schema)}


@pytest.fixture
async def former(dsn: str, sql: asyncpg.Connection) -> None:
    """The database has the tables of an older release and nothing else."""
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    await install(sql)


def test_relations_of_a_release_are_read_from_its_migrations() -> None:
    texts = read_migrations()
    assert "lease_id" in relations_of(texts[:4])
    assert "lease_id" not in relations_of(texts)
    assert "replaced_schema" not in relations_of(texts[:7])


async def test_no_relation_is_forgotten(sql: asyncpg.Connection) -> None:
    assert await relations(sql, SCHEMA) == {"schema_migration", *relations_of(read_migrations())}


@pytest.mark.usefixtures("former")
async def test_jobs_of_an_older_release_are_named_with_the_command_that_moves_them(
    dsn: str, sql: asyncpg.Connection
) -> None:
    with pytest.raises(DatabaseUnsuitable, match=r"`jobsvc migrate --move-from public` moves"):
        await migrate(dsn)
    assert await sql.fetchval("SELECT to_regnamespace('jobsvc')") is None


@pytest.mark.usefixtures("former")
async def test_moved_tables_have_their_jobs(dsn: str, sql: asyncpg.Connection) -> None:
    await migrate(dsn, "public")
    async with open_store(dsn, "s", 2, 10, 10, schema="public") as store:
        waiting = await create(store, unique_key="k")
        await store.queues.update("q", True, lambda queue: queue.policy)
    await move(dsn, "public", SCHEMA)
    assert await migrate(dsn) == []
    assert await relations(sql, "public") == set()
    async with open_store(dsn, "s", 2, 10, 10) as store:
        (job,) = await lease(store)
        assert job.id.job_id == waiting
        await store.lease_ends.ends.submit_one(end(job.id, COMPLETED))
        assert await create(store, unique_key="k")
    assert await tables_of(sql, waiting) == {"job", "result"}


@pytest.mark.parametrize("latest", ["0001_jobs", "0004_start_within", "0006_emptied_jobs", LATEST])
async def test_every_older_release_is_moved_and_migrated(
    dsn: str, sql: asyncpg.Connection, latest: str
) -> None:
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    await install(sql, latest)
    await move(dsn, "public", SCHEMA)
    assert await migrate(dsn) == [m.name for m in read_migrations() if m.name > latest]
    assert await relations(sql, "public") == set()
    assert await relations(sql, SCHEMA) == {"schema_migration", *relations_of(read_migrations())}


async def test_only_our_tables_move(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    await install(sql, "0006_emptied_jobs")
    theirs = {
        "users",
        "worker_stream",
        "lease_id",
    }  # Ours have the last two names in other releases.
    await sql.execute("CREATE TABLE public.users (); CREATE TABLE public.worker_stream ()")
    await sql.execute("CREATE SEQUENCE public.lease_id")
    await move(dsn, "public", SCHEMA)
    assert await relations(sql, "public") == theirs


@pytest.mark.usefixtures("former")
async def test_move_that_meets_a_foreign_table_moves_nothing(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("CREATE SCHEMA jobsvc; CREATE TABLE jobsvc.worker_stream ()")
    before = await relations(sql, "public")
    with pytest.raises(DatabaseUnsuitable, match=r"the schema jobsvc has tables of somebody else"):
        await move(dsn, "public", SCHEMA)
    assert await relations(sql, "public") == before


async def test_move_without_tables_of_ours_is_refused(dsn: str, sql: asyncpg.Connection) -> None:
    with pytest.raises(DatabaseUnsuitable, match=r"the schema public has no tables of jobsvc"):
        await move(dsn, "public", "other")
    await install(sql)
    with pytest.raises(DatabaseUnsuitable, match=r"the schema jobsvc has tables of jobsvc already"):
        await move(dsn, "public", SCHEMA)


async def test_tables_that_this_release_does_not_know_are_not_left_behind(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        "INSERT INTO schema_migration VALUES ('9999_next', now(), '0009_compatibility')"
    )
    with pytest.raises(DatabaseUnsuitable, match=r"the schema jobsvc is newer than this release"):
        await move(dsn, SCHEMA, "other")


@pytest.mark.usefixtures("former")
async def test_another_installation_is_made_beside_them_when_its_schema_is_named(
    dsn: str, sql: asyncpg.Connection
) -> None:
    assert await migrate(dsn, "other")
    assert (await migrate(dsn, "public"))[0] == "0009_compatibility"


@pytest.mark.parametrize(
    "theirs",
    [
        "CREATE TABLE schema_migration (version bigint); CREATE TABLE job ()",
        # A start of an older release that failed at a table of theirs leaves this behind.
        "CREATE TABLE schema_migration (name text, apply_time timestamptz); CREATE TABLE job ()",
        "CREATE TABLE schema_migration AS SELECT '0001_jobs' AS name, now() AS apply_time",
    ],
)
async def test_tables_of_others_in_public_are_no_older_release(
    dsn: str, sql: asyncpg.Connection, theirs: str
) -> None:
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    await sql.execute("SET search_path = public")
    await sql.execute(theirs)
    assert await migrate(dsn)


@pytest.mark.usefixtures("former")
async def test_embedded_database_is_moved_at_its_start(dsn: str, sql: asyncpg.Connection) -> None:
    for _ in range(2):
        assert await until_prepared(dsn, Settings(), asyncio.Event(), ServiceManager())
        assert await relations(sql, "public") == set()
    assert "waiting" in await relations(sql, SCHEMA)
