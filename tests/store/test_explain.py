"""Why a database cannot be reached: a sentence of its own for each reason, without the password."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.embedded import EmbeddedUnavailable, embedded_postgres
from jobsvc.store.dsn import DsnInvalid
from jobsvc.store.migrate import migrate
from tests.store.support.tls_front import CERTIFICATES, tls_front


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The port of a PostgreSQL that asks for a password there."""
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "fsync": "off"}
    try:
        async with embedded_postgres(tmp_path, settings) as server:
            sql = await asyncpg.connect(server.dsn.replace("port=5432", f"port={port}"))
            access = tmp_path / "pgdata" / "pg_hba.conf"
            access.write_text("local all all trust\nhost all jobsvc all scram-sha-256\n")
            await sql.execute("ALTER ROLE jobsvc PASSWORD 'right'")
            await sql.execute("SELECT pg_reload_conf()")
            await sql.close()
            yield port
    except EmbeddedUnavailable as error:
        pytest.skip(f"no port to be had: {error}")


async def sentence(dsn: str) -> str:
    """What is said when the migration cannot begin."""
    with pytest.raises((DatabaseUnavailable, DsnInvalid)) as caught:
        await migrate(dsn)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


async def test_each_reason_on_a_server(port: int) -> None:
    at = f"127.0.0.1:{port}"
    wrong = await sentence(f"postgresql://jobsvc:secret@{at}/jobsvc")
    assert wrong.startswith("the database refuses the password: password authentication failed")
    absent = await sentence(f"postgresql://jobsvc:right@{at}/nobodys")
    assert absent == 'the database does not exist: database "nobodys" does not exist'
    role = await sentence(f"postgresql://nobody:secret@{at}/jobsvc")
    assert role.startswith("the database refuses the login: no pg_hba.conf entry for host")
    ca = f"sslmode=verify-full&sslrootcert={CERTIFICATES}"
    async with tls_front(port) as tls_port:
        at = f"localhost:{tls_port}"
        assert await migrate(f"postgresql://jobsvc:right@{at}/jobsvc?{ca}/localhost.pem")
        untrusted = await sentence(f"postgresql://jobsvc:right@{at}/jobsvc?{ca}/another.pem")
    assert untrusted.startswith(f"the certificate of {at} does not verify: ")
    missing = await sentence(f"postgresql://jobsvc:right@{at}/jobsvc?{ca}/none.pem")
    assert missing.startswith("JOBSVC_DSN")
    assert "exist" in missing


async def test_each_reason_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = f"127.0.0.1:{free_port()}"
    refused = await sentence(f"postgresql://u:secret@{at}/x")
    assert refused == f"no database listens at {at} (connection refused)"
    absent = await sentence(f"postgresql://u:secret@/x?host={tmp_path}&port=5432")
    assert absent == f"no database listens at {tmp_path}:5432 (connection refused)"
    unknown = await sentence("postgresql://u:secret@no-such-host.invalid/x")
    assert unknown.startswith("the host name of the database cannot be resolved: no-such-host")
    mode = await sentence(f"postgresql://u:secret@{at}/x?sslmode=maybe")
    assert mode.startswith("JOBSVC_DSN: `sslmode` parameter must be one of")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        at = f"127.0.0.1:{silent.getsockname()[1]}"
        late = await sentence(f"postgresql://u:secret@{at}/x?connect_timeout=1")
    assert late == f"the database at {at} did not answer in time"
    monkeypatch.setenv("PGPORT", "secret")
    assert (await sentence("postgresql://u@127.0.0.1/x")).startswith("no connection to 127.0.0.1")
