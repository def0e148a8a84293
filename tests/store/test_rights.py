"""A role that serves and makes nothing: what it is given is enough, and no more than that."""

import logging
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.settings import SCHEMA
from jobsvc.store.ddl import DatabaseUnsuitable
from jobsvc.store.migrate import migrate
from jobsvc.store.rights import grant, missing_for_serving
from jobsvc.store.statement import texts
from jobsvc.store.store import open_store
from jobsvc.upkeep.vacuum import TableVacuum
from tests.store.support.churn import churn

TEXTS = texts(SCHEMA)
#: What only the owner of the schema does.
OWNERS = {
    "make_schema",
    "make_schema_migration",
    "record_migration",
    "record_compatibility",
    "restore_findings",
    "make_session_key",
    "record_restore_check",
    "create_api_key",
}
#: PostgreSQL knows no plan of them.
_VACUUMS = {"vacuum_lease", "vacuum_waiting"}


@pytest.fixture
async def clerk(dsn: str, sql: asyncpg.Connection) -> AsyncIterator[str]:
    """The DSN of a role that owns nothing, and may nothing yet."""
    await sql.execute("CREATE ROLE clerk")
    yield f"{dsn}{'&' if '?' in dsn else '?'}options=-crole%3Dclerk"
    await sql.execute("DROP OWNED BY clerk; DROP ROLE clerk")


async def denied(sql: asyncpg.Connection, name: str) -> bool:
    """Whether the role may not run a statement."""
    count = max(map(int, re.findall(r"\$(\d+)", TEXTS[name])), default=0)
    arguments = f"({', '.join(['NULL'] * count)})" if count else ""
    await sql.execute(f"PREPARE planned AS {TEXTS[name]}")
    try:
        await sql.execute("SET ROLE clerk")
        await sql.execute(f"EXPLAIN EXECUTE planned {arguments}")
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await sql.execute("RESET ROLE; DEALLOCATE planned")
    return False


async def test_role_may_run_every_statement_but_those_of_the_owner(
    dsn: str, sql: asyncpg.Connection, clerk: str
) -> None:
    await grant(dsn, SCHEMA, "clerk")
    plannable = TEXTS.keys() - _VACUUMS - {"make_schema", "make_schema_migration"}
    assert {n for n in plannable if await denied(sql, n)} == OWNERS & plannable


async def test_role_has_no_right_that_it_does_not_need(
    dsn: str, sql: asyncpg.Connection, clerk: str
) -> None:
    given = await grant(dsn, SCHEMA, "clerk")
    needed = [n for n in given if not n.startswith(("USAGE", "MAINTAIN"))]
    assert len(needed) > 30
    for right in needed:
        table = right.rpartition(".")[2]
        await sql.execute(f"REVOKE {right} FROM clerk")
        names = [
            n for n in TEXTS.keys() - OWNERS - _VACUUMS if re.search(rf"\b{table}\b", TEXTS[n])
        ]
        assert [n for n in names if await denied(sql, n)], f"nothing needs {right}"
        await sql.execute(f"GRANT {right} TO clerk")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE jobsvc.mine ()",
        "DROP TABLE jobsvc.job",
        "DROP SCHEMA jobsvc CASCADE",
        "ALTER TABLE jobsvc.job ADD COLUMN mine integer",
        "CREATE INDEX ON jobsvc.job (queue)",
        "TRUNCATE jobsvc.job",
        "DELETE FROM jobsvc.schema_migration",
        "INSERT INTO jobsvc.schema_migration VALUES ('mine')",
        "UPDATE jobsvc.secret SET value = ''",
        "SELECT nextval('jobsvc.payload_schema_id_seq')",
    ],
)
async def test_role_may_not_do_what_it_need_not(
    dsn: str, sql: asyncpg.Connection, clerk: str, statement: str
) -> None:
    await grant(dsn, SCHEMA, "clerk")
    await sql.execute("SET ROLE clerk")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sql.execute(statement)
    await sql.execute("RESET ROLE")


async def test_role_finds_all_there_and_makes_nothing(dsn: str, clerk: str) -> None:
    await grant(dsn, SCHEMA, "clerk")
    assert await migrate(clerk) == []
    assert await missing_for_serving(clerk, SCHEMA) == []
    assert await grant(dsn, SCHEMA, "clerk") == []


async def test_what_a_role_lacks_is_named_one_by_one(
    dsn: str, sql: asyncpg.Connection, clerk: str
) -> None:
    (line,) = await missing_for_serving(clerk, SCHEMA)
    assert line.startswith("this role may not read the schema jobsvc: `jobsvc migrate --grant ")
    await grant(dsn, SCHEMA, "clerk")
    await sql.execute("REVOKE DELETE ON result FROM clerk; REVOKE SELECT, INSERT ON job FROM clerk")
    cure = ": `jobsvc migrate --grant clerk`, as the owner"
    assert sorted(await missing_for_serving(clerk, SCHEMA)) == [
        f"the role clerk lacks the right DELETE on jobsvc.result{cure}",
        f"the role clerk lacks the right INSERT on jobsvc.job{cure}",
        f"the role clerk lacks the right SELECT on jobsvc.job{cure}",
    ]


async def test_check_changes_nothing(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    lines = await missing_for_serving(dsn, SCHEMA)
    assert lines[0] == "the migration 0001_jobs is missing: `jobsvc migrate`, as the owner"
    assert await sql.fetchval("SELECT to_regnamespace('jobsvc')") is None


async def test_role_that_may_not_make_what_is_missing_is_told(
    sql: asyncpg.Connection, clerk: str
) -> None:
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    with pytest.raises(
        DatabaseUnsuitable, match=r"^the schema jobsvc lacks the migration 0001_jobs, and"
    ):
        await migrate(clerk)


@pytest.mark.parametrize(
    ("has_rights", "said"),
    [
        (True, "this role may not give intern the right "),  # PostgreSQL only warns then
        (False, "this role may not do that in the schema jobsvc "),
    ],
)
async def test_who_may_not_give_rights_is_told(
    dsn: str, sql: asyncpg.Connection, clerk: str, has_rights: bool, said: str
) -> None:
    await sql.execute("CREATE ROLE intern")
    if has_rights:
        await grant(dsn, SCHEMA, "clerk")
    try:
        with pytest.raises(DatabaseUnsuitable, match=f"^{said}"):
            await grant(clerk, SCHEMA, "intern")
    finally:
        await sql.execute("DROP ROLE intern")


@pytest.mark.parametrize("role", ["nobody", 'x"; DROP SCHEMA jobsvc CASCADE; --'])
async def test_role_that_does_not_exist_is_one_line(dsn: str, role: str) -> None:
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        await grant(dsn, SCHEMA, role)


async def test_role_of_any_name_is_given_its_rights(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute('CREATE ROLE "my Clerk"')
    try:
        assert await grant(dsn, SCHEMA, "my Clerk")
    finally:
        await sql.execute('DROP OWNED BY "my Clerk"; DROP ROLE "my Clerk"')


async def test_role_that_may_vacuum_does(dsn: str, sql: asyncpg.Connection, clerk: str) -> None:
    if sql.get_server_version().major < 17:
        pytest.skip("PostgreSQL lets others than the owner vacuum since 17")
    await grant(dsn, SCHEMA, "clerk")
    await churn(dsn, 25_000)
    async with open_store(clerk, "s", 2, 10, 10) as store:
        await TableVacuum(store).run_once()
    assert await sql.fetchval("SELECT pg_stat_get_vacuum_count('lease'::regclass)") == 1


async def test_role_that_may_not_vacuum_says_so_once(
    dsn: str, sql: asyncpg.Connection, clerk: str, caplog: pytest.LogCaptureFixture
) -> None:
    await grant(dsn, SCHEMA, "clerk")
    if sql.get_server_version().major >= 17:
        await sql.execute("REVOKE MAINTAIN ON lease, waiting FROM clerk")
    await churn(dsn, 25_000)
    async with open_store(clerk, "s", 2, 10, 10) as store:
        upkeep = TableVacuum(store)
        for _ in range(2):
            await upkeep.run_once()
    (line,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert line.startswith("this role may not vacuum our tables")
