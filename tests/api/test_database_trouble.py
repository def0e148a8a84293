"""A database that fails or refuses ends no replica: it serves what it can, says once what is wrong,
and shows it in its health."""

import logging
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobsvc.api.health import DATABASE, LIVENESS, serving
from jobsvc.api.server import SERVICES
from jobsvc.app import Replica, replica
from jobsvc.settings import SCHEMA, Settings
from jobsvc.store.rights import grant
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.database_link import DatabaseLink, database_link
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_one, report, success
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

READY = ("", *SERVICES)


@pytest.fixture
def settings() -> Settings:
    return replace(TEST_SETTINGS, statement_seconds=2.0)


@pytest.fixture
async def link(dsn: str, sql: asyncpg.Connection) -> AsyncIterator[DatabaseLink]:
    """The way of a role that has what serving needs, and owns nothing."""
    await sql.execute("CREATE ROLE clerk")
    await grant(dsn, SCHEMA, "clerk")
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with database_link(dsn, Path(folder)) as opened:
            opened.dsn += "&options=-crole%3Dclerk"
            yield opened
    await sql.execute("DROP OWNED BY clerk; DROP ROLE clerk")


@pytest.fixture
async def server(link: DatabaseLink, settings: Settings) -> AsyncIterator[Replica]:
    async with replica(link.dsn, settings) as running:
        yield running


@pytest.fixture
def health(channel: aio.Channel) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(channel)


async def is_serving(health: health_pb2_grpc.HealthStub, name: str) -> bool:
    answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def said(caplog: pytest.LogCaptureFixture, subject: str) -> list[str]:
    """What became of a subject, in the words of the log."""
    lines = [r.message for r in caplog.records if r.name == "jobsvc.store.trouble_log"]
    return [line.split()[len(subject.split())] for line in lines if line.startswith(subject)]


async def test_right_that_is_taken_away_costs_what_needs_it(
    create: Create,
    workers: WorkerServiceStub,
    health: health_pb2_grpc.HealthStub,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await sql.execute("REVOKE DELETE ON result FROM clerk")  # for the prune
    await eventually(lambda: said(caplog, "prune_jobs"), what="a line")
    await create()
    assert await report(workers, success(await lease_one(workers))) == [OK]
    assert await is_serving(health, "")
    assert not await is_serving(health, DATABASE)
    await sql.execute("GRANT DELETE ON result TO clerk")
    await eventually(lambda: len(said(caplog, "prune_jobs")) > 1, what="the next line")
    assert said(caplog, "prune_jobs") == ["fails:", "works"]
    assert await is_serving(health, DATABASE)


async def test_schema_that_is_gone_for_a_while_is_an_outage_of_all_that_needs_it(
    create: Create,
    health: health_pb2_grpc.HealthStub,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await create()
    await sql.execute("ALTER SCHEMA jobsvc RENAME TO elsewhere")
    refusal = await refused(create())
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    assert "relation" not in refusal.message
    await eventually(lambda: said(caplog, "expire_jobs"), what="a line")
    assert not await is_serving(health, DATABASE)
    await sql.execute("ALTER SCHEMA elsewhere RENAME TO jobsvc")
    await create()
    await eventually(lambda: is_serving(health, DATABASE), what="an end of the trouble")
    assert said(caplog, "expire_jobs") == ["fails:", "works"]


async def test_database_that_goes_and_comes_back_has_two_lines_and_its_health(
    link: DatabaseLink,
    create: Create,
    health: health_pb2_grpc.HealthStub,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await create()
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    caplog.clear()
    await link.cut()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert [await is_serving(health, name) for name in (*READY, DATABASE)] == [False] * (
        len(READY) + 1
    )
    assert await is_serving(health, LIVENESS)
    for _ in range(20):
        assert (await refused(create())).reason == "DATABASE_UNAVAILABLE"
    await link.mend()
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    assert [await is_serving(health, name) for name in READY] == [True] * len(READY)
    await create()
    assert said(caplog, "the database") == ["fails:", "works"]
    ours = [r for r in caplog.records if r.name.startswith("jobsvc")]
    warnings = [r.message for r in ours if r.levelno >= logging.WARNING]
    assert len(warnings) == 2, warnings


def test_server_that_leaves_is_alive_and_not_ready() -> None:
    healthy = serving(["a"], is_leaving=True, is_away=False, has_trouble=False)
    assert healthy == {"": False, "a": False, LIVENESS: True, DATABASE: True}
