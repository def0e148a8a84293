"""kill -9 of server, worker and PostgreSQL, twice each, while 2,000 jobs are created and run."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.e2e.support.caller import Caller
from tests.e2e.support.history import Create, Run
from tests.e2e.support.processes import Server, Worker
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]

JOBS = 2_000
CALLERS = 10
SEED = 20_260_101
MAX_SECONDS = 240


class Victims:
    """The processes that are killed, each started again at once."""

    def __init__(self, stage: Stage, server: Server, workers: list[Worker]) -> None:
        self.server = server
        self.workers = workers
        self._stage = stage

    async def kill_server(self) -> None:
        """The server; its PostgreSQL goes along."""
        self.server.kill()
        assert self.server.exit_code == -signal.SIGKILL
        self.server = await self._stage.serve(embedded=True, port=self.server.port)

    async def kill_worker(self) -> None:
        """The worker that has been there longest, in the middle of something."""
        victim = self.workers.pop(0)
        leases = "SELECT FROM lease WHERE worker_id = $1"

        async def caught() -> bool:
            victim.freeze()  # so that what is seen now is what dies
            if await fetch(self._stage.embedded_dsn, leases, victim.id):
                return True
            victim.thaw()
            return False

        await eventually(caught, what="a job in the hands of the worker")
        victim.kill()
        self.workers.append(await self._stage.work(self.server.target))

    async def kill_postgres(self) -> None:
        """PostgreSQL's first process; the server starts another one."""
        pid_file = self._stage.data_dir / "pgdata" / "postmaster.pid"

        def postmaster() -> int:
            lines = pid_file.read_text().splitlines() if pid_file.exists() else []
            return int(lines[0]) if len(lines) >= 8 and lines[7].strip() == "ready" else 0

        killed = postmaster()
        os.kill(killed, signal.SIGKILL)
        await eventually(
            lambda: postmaster() not in (0, killed), seconds=20, what="another PostgreSQL"
        )


async def test_all_jobs_end_and_none_twice_whatever_is_killed(stage: Stage) -> None:
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    began = time.monotonic()
    server = await stage.serve(embedded=True)
    workers = [await stage.work(server.target) for _ in range(2)]
    victims = Victims(stage, server, workers)
    kinds: list[Callable[[], object]] = 2 * [
        victims.kill_server,
        victims.kill_worker,
        victims.kill_postgres,
    ]
    # At random moments of the work, one in each sixth of its first nine tenths.
    moments = [int(JOBS * 0.9 * (n + dice.random()) / len(kinds)) for n in range(len(kinds))]

    async with stage.calls(server.target) as caller:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CALLERS):
                seed = dice.getrandbits(32)
                tasks.create_task(_create_and_follow(caller, random.Random(seed)))
            for moment, kill in zip(moments, kinds, strict=True):
                await eventually(
                    lambda m=moment: len(caller.ended) >= m, seconds=60, what=f"{moment} ends"
                )
                assert len(caller.ended) < JOBS, "everything was over before it was killed"
                await kill()
        assert len(caller.ended) == JOBS
        jobs = await stage.check(caller, caller.ended, stage.embedded_dsn)

    assert all(job.succeeded for job in jobs.values())
    _faults_were_felt(stage)
    assert time.monotonic() - began < MAX_SECONDS


async def _create_and_follow(caller: Caller, dice: random.Random) -> None:
    async with asyncio.TaskGroup() as follows:
        for _ in range(JOBS // CALLERS // 20):
            inputs = [{"seconds": dice.uniform(0.0, 0.06)} for _ in range(20)]
            job_ids = [await caller.create("nap", input_) for input_ in inputs]
            follows.create_task(caller.follow(job_ids))


def _faults_were_felt(stage: Stage) -> None:
    events = stage.history.events()
    deliveries: dict[str, int] = {}
    for event in events:
        if isinstance(event, Run):
            deliveries[event.job_id] = deliveries.get(event.job_id, 0) + 1
    again = sum(count > 1 for count in deliveries.values())
    unsure = sum(isinstance(e, Create) and e.result == "unknown" for e in events)
    print(f"{again} jobs were delivered again, {unsure} creations were in doubt")
    assert again > 0, "no job was running when its worker died"
