"""The ways to a newer PostgreSQL that docs/operations/postgres-upgrade.md describes, each gone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobsvc.client import JobState, RetryPolicy
from jobsvc.domain.lease import LeaseId
from jobsvc.embedded import embedded_postgres
from jobsvc.embedded.account import account_for
from jobsvc.embedded.binaries import Binaries, find_binaries
from jobsvc.embedded.data_directory import claim
from jobsvc.embedded.initdb import ensure_pgdata
from jobsvc.embedded.server import SETTINGS, EmbeddedPostgres
from jobsvc.embedded.sockets import socket_folder
from jobsvc.settings import SCHEMA
from jobsvc.store.migrate import migrate
from jobsvc.store.store import open_store
from tests.e2e.support.caller import Caller
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage, a_stage
from tests.e2e.support.tables import fetch, read_tables
from tests.store.support.samples import COMPLETED, create, create_leased, end
from tests.support.clusters import INITDB, Clusters, clusters
from tests.support.other_postgres import MISSING, other_programs
from tests.support.probe import eventually
from tests.support.standby import USER, Server

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(240)]

#: Whatever uses an attempt fails the job.
ONCE = RetryPolicy(max_attempts=1)
#: No lease runs out meanwhile, however slow the machine is.
PATIENT = {"lease_seconds": 60, "extend_interval_seconds": 20}
_NEW_MAJOR = "18"
_OLD = other_programs(_NEW_MAJOR)
#: From which version to come: the newest that is here, unless this names one.
_VERSION = os.environ.get("JOBSVC_TEST_OLD_POSTGRES") or max(_OLD, key=int, default="")


@pytest.fixture
def servers() -> Iterator[Clusters]:
    with clusters() as opened:
        yield opened


@pytest.fixture
def old(servers: Clusters) -> Path:
    """The folder of the programs of an older PostgreSQL."""
    if _VERSION not in _OLD:
        pytest.skip(MISSING)
    return servers.runnable(_OLD[_VERSION])


async def begin(stage: Stage, caller: Caller) -> list[str]:
    """Creates jobs that are in every place when it returns: ended, leased and waiting."""
    naps = [0, 2, 3]
    job_ids = [await caller.create("nap", {"seconds": n}, retry=ONCE) for n in naps]
    job_ids.append(await caller.create("nobody-does-this"))
    await eventually(lambda: len(stage.history.runs(*job_ids)) == 3, seconds=60, what="all run")
    await caller.follow(job_ids[:1])
    return job_ids


@pytest.mark.parametrize("checksums", [False, True], ids=["without checksums", "with checksums"])
async def test_pg_upgrade_keeps_everything_leases_included(
    old: Path, servers: Clusters, checksums: bool
) -> None:
    before = servers.new("before", old)
    before.run("initdb", *INITDB)
    await before.start()
    await migrate(before.dsn)
    async with a_stage(before.dsn) as stage:
        server = await stage.serve(**PATIENT)
        await stage.work(server.target, "--concurrency", "8")
        async with stage.calls(server.target) as caller:
            await caller.client.declare_queue("nobody-does-this", input_schema={"maxProperties": 9})
            job_ids = await begin(stage, caller)
            server.kill()
            await before.stop()

            after = servers.new("after")
            after.run("initdb", *INITDB)
            assert "not use data checksums but the new one does" in upgrade(before, after, old)
            if checksums:
                before.run("pg_checksums", "--enable", "--no-sync")
            else:
                shutil.rmtree(after.data)
                after.run("initdb", *INITDB, "--no-data-checksums")
            assert "Upgrade Complete" in upgrade(before, after, old)
            after.port = before.port
            await after.start()
            done = after.attempt("vacuumdb", "--analyze-only", f"-d{after.dsn}")
            assert done.returncode == 0, done.stderr

            await stage.serve(port=server.port, **PATIENT)
            await end_all(stage, caller, job_ids, after)


async def test_logical_replication_moves_an_installation_under_work(
    old: Path, servers: Clusters
) -> None:
    before = servers.new("before", old, {"wal_level": "logical"})
    before.run("initdb", *INITDB)
    await before.start()
    await migrate(before.dsn)
    after = servers.new("after")
    after.run("initdb", *INITDB)
    await after.start()
    async with a_stage(before.dsn) as stage:
        server = await stage.serve(drain_seconds=1, **PATIENT)
        await stage.work(server.target, "--concurrency", "8")
        async with stage.calls(server.target) as caller:
            # Their ids are copied, and the sequence is not.
            for n in range(3):
                await caller.client.declare_queue(
                    "nobody-does-this", input_schema={"maxProperties": n + 1}
                )
            await copy_schema(before, after)
            await before.execute(f"CREATE PUBLICATION move FOR TABLES IN SCHEMA {SCHEMA}")
            await after.execute(
                f"CREATE SUBSCRIPTION move CONNECTION '{before.dsn}' PUBLICATION move"
            )
            await eventually(lambda: after.fetchval(_ALL_COPIED), seconds=30)
            job_ids = await begin(stage, caller)

            server.terminate()
            assert await server.exited(60.0) == 0
            end = await before.fetchval("SELECT pg_current_wal_lsn()::text")
            received = f"SELECT bool_and(confirmed_flush_lsn >= '{end}') FROM pg_replication_slots"
            await eventually(lambda: before.fetchval(received), seconds=30)
            await after.execute("DROP SUBSCRIPTION move")
            again = await stage.serve(port=server.port, dsn=after.dsn, **PATIENT)
            assert "the sequence of schema ids was behind the ids" in again.stderr

            await end_all(stage, caller, job_ids, after)
            await caller.client.declare_queue("nobody-does-this", input_schema={"maxProperties": 9})
            ids = await fetch(after.dsn, "SELECT id FROM payload_schema")
            assert len({row["id"] for row in ids}) >= 4


async def test_embedded_data_of_an_older_version_are_upgraded(old: Path, servers: Clusters) -> None:
    if int(_VERSION) < 16:
        pytest.skip("the embedded PostgreSQL maps accounts as PostgreSQL 16 and later can")
    data_dir = servers.folder / "embedded"
    waiting, leased = await make_embedded(data_dir, old)
    where = {"JOBSVC_DATA_DIR": str(data_dir), "JOBSVC_LISTEN": "127.0.0.1:0"}
    line = complaint(run("serve", **where))
    assert "docs/operations/postgres-upgrade.md" in line

    before, after = servers.new("before", old), servers.new("after")
    before.data, after.data = data_dir / "pgdata-before", data_dir / "pgdata-draft"
    (data_dir / "pgdata").rename(before.data)
    for path in (before.data, *before.data.rglob("*")):
        servers.give(path)
    (before.data / "pg_hba.conf").write_text("local all all trust\n")
    after.data.mkdir()
    servers.give(after.data)
    after.run("initdb", *INITDB, "--no-data-checksums")
    assert "Upgrade Complete" in upgrade(before, after, old)
    after.data.rename(data_dir / "pgdata")

    async with embedded_postgres(data_dir) as postgres:
        tables = await read_tables(postgres.dsn)
        assert (tables.waiting, tables.leased) == ([waiting], [leased.job_id])
        async with open_store(postgres.dsn, "s", 2, 10, 10) as store:
            assert await store.lease_ends.ends.submit_one(end(leased, COMPLETED)) is True


def upgrade(before: Server, after: Server, old: Path) -> str:
    """Runs pg_upgrade, and returns what it said."""
    done = after.attempt(
        "pg_upgrade", f"-b{old}", f"-d{before.data}", f"-D{after.data}", f"-U{USER}", "--no-sync"
    )
    return done.stdout + done.stderr


async def copy_schema(before: Server, after: Server) -> None:
    """Makes the tables of one server on another, without rows."""
    done = after.attempt("pg_dump", "--schema-only", f"-n{SCHEMA}", "-fschema", f"-d{before.dsn}")
    assert done.returncode == 0, done.stderr
    done = after.attempt("psql", "-qX", "-vON_ERROR_STOP=1", "-fschema", after.dsn)
    assert done.returncode == 0, done.stderr


async def end_all(stage: Stage, caller: Caller, job_ids: list[str], after: Server) -> None:
    """What had begun ends, once and on its only attempt; nothing was lost or is there twice."""
    await caller.follow(job_ids[:-1])
    await caller.client.cancel(job_ids[-1])
    await caller.follow(job_ids[-1:])
    jobs = await stage.check(caller, job_ids, after.dsn)
    assert [jobs[i].status.state for i in job_ids[:-1]] == [JobState.COMPLETED] * 3
    assert len(stage.history.runs(*job_ids)) == 3


async def make_embedded(data_dir: Path, old: Path) -> tuple[str, LeaseId]:
    """Makes a data directory as a release with an older PostgreSQL would have: with a job that
    waits, and one that is leased."""
    with claim(data_dir) as data:
        account = account_for(data.pgdata)
        binaries = Binaries(old, _VERSION)
        await ensure_pgdata(data, binaries, account, SETTINGS)
        with socket_folder(data, account) as folder:
            server = EmbeddedPostgres(data, binaries, account, SETTINGS, folder)
            await server.start()
            try:
                await migrate(server.dsn)
                async with open_store(server.dsn, "s", 2, 10, 10) as store:
                    leased = await create_leased(store)
                    return await create(store), leased
            finally:
                await server.stop()


def test_version_that_comes_along_is_the_one_that_is_moved_to() -> None:
    assert find_binaries(None, Path("/tmp")).major_version == _NEW_MAJOR


#: Every table of the subscription has been copied, and follows.
_ALL_COPIED = "SELECT count(*) > 10 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel"
