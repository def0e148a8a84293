"""A replica that freezes, or whose host is lost, in the middle of a statement."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from jobsvc.embedded import EmbeddedUnavailable, embedded_postgres
from tests.support.probe import eventually

#: Locks a row and asks for more than a socket takes, as a claim of large jobs does.
_CLIENT = """
import asyncio, sys
from jobsvc.store.database import open_database

async def main():
    async with open_database(sys.argv[1], 1, statement_seconds=1) as database:
        async with database.connection() as connection:
            await connection.fetch(
                "SELECT repeat('x', 10000) FROM public.taken, generate_series(1, 100000)"
                " FOR UPDATE OF taken"
            )

print("asking", flush=True)
asyncio.run(main())
"""


@pytest.fixture
async def over_tcp(tmp_path: Path) -> AsyncIterator[str]:
    """The DSN of a PostgreSQL that listens on an address of its own."""
    if sys.platform != "linux":
        pytest.skip("needs the whole of 127/8")
    address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"
    settings = {"listen_addresses": address, "fsync": "off"}
    try:
        async with embedded_postgres(tmp_path, settings) as server:
            with (tmp_path / "pgdata" / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 127.0.0.0/8 trust\n")
            user = await asyncpg.connect(server.dsn)
            name = await user.fetchval("SELECT current_user FROM pg_reload_conf()")
            await user.close()
            dsn = f"postgresql://{name}@{address}/jobsvc"
            await eventually(lambda: _answers(dsn))
            yield dsn
    except EmbeddedUnavailable as error:
        pytest.skip(f"no port to be had: {error}")


async def _answers(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn)
    except asyncpg.InvalidAuthorizationSpecificationError:
        return False
    await connection.close()
    return True


async def test_what_a_frozen_replica_was_about_to_be_sent_is_not_locked_for_long(
    over_tcp: str,
) -> None:
    sql = await asyncpg.connect(over_tcp)
    await sql.execute("CREATE TABLE public.taken (id integer); INSERT INTO public.taken VALUES (1)")
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _CLIENT, over_tcp, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    await client.stdout.readline()

    async def free() -> bool:
        return bool(await sql.fetch("SELECT FROM public.taken FOR UPDATE SKIP LOCKED"))

    try:
        await eventually(free, lambda is_free: not is_free)
        os.kill(client.pid, signal.SIGSTOP)
        # One second for the statement, five more for the driver, and the kernel's time to notice.
        await eventually(free)
    finally:
        client.kill()
        await client.wait()
        await sql.close()
