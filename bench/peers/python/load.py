"""Payloads, producers, clocks and the line protocol, the same for every Python peer. Runs in the
environment of the peers, so it imports nothing of jobsvc."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import uvloop

#: 200 bytes of JSON text, as an object and as it is.
PAYLOAD = {"n": "x" * 191}
PAYLOAD_JSON = json.dumps(PAYLOAD)
WARM_UP = 30
#: Calls under way while a backlog is made; that is not measured.
FILL_CALLS = 4

#: At the end of a scenario's name.
_NUMBER = re.compile(r"-\d+$")

Scenario = Callable[[str, int], Awaitable[dict[str, Any] | None]]


class WrongResult(Exception):
    """Jobs were lost, or ran more than once."""


def main(scenarios: dict[str, Scenario]) -> None:
    """`python run_NAME.py SCENARIO DSN JOBS`."""
    scenario, dsn, jobs = sys.argv[1:]
    uvloop.run(scenarios[_NUMBER.sub("", scenario)](dsn, int(jobs)))


async def wait_for_start() -> None:
    """Prints that the process is ready, and returns when it may start, as in
    bench/measure/protocol.py."""
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def send_result(numbers: dict[str, Any]) -> None:
    """Prints the result, and returns when the input is closed."""
    print(json.dumps(numbers), flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def produce(
    jobs: int, calls: int, per_call: int, create: Callable[[int], Awaitable[object]]
) -> float:
    """Calls `create` until the jobs are made, so many calls at a time. Returns the seconds."""
    left = jobs

    async def one() -> None:
        nonlocal left
        while left > 0:
            now = min(per_call, left)
            left -= now
            await create(now)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(calls):
            tasks.create_task(one())
    return time.perf_counter() - began


async def measure_creates(
    dsn: str, jobs: int, per_call: int, create: Callable[[int], Awaitable[object]], stored: str
) -> None:
    """Measures the seconds it takes to make the jobs, `create` making up to `per_call` at a time.

    The scenario's name says how many calls are under way: create-32, batch-create-4; or one.
    `stored` is the query that counts what was made.
    """
    number = _NUMBER.search(sys.argv[1])
    await wait_for_start()
    seconds = await produce(jobs, int(number[0][1:]) if number else 1, per_call, create)
    await verify(dsn, stored, jobs)
    await send_result({"jobs": jobs, "seconds": seconds})


class Handled:
    """Counts jobs handed to the handler."""

    def __init__(self, jobs: int) -> None:
        self.count = 0
        self.started = 0.0
        self.all = asyncio.Event()
        self._jobs = jobs

    def add(self) -> None:
        """One more."""
        if not self.count:
            self.started = time.perf_counter()
        self.count += 1
        if self.count == self._jobs:
            self.all.set()


async def measure_drain(handled: Handled, dsn: str, jobs: int, some_left: str) -> dict[str, Any]:
    """Measures from the first job handed to the handler to the last one recorded as done.

    `some_left` is the query that tells whether some job is not done.
    """
    await handled.all.wait()
    connection = await asyncpg.connect(dsn)
    while await connection.fetchval(some_left):  # noqa: ASYNC110  the database has no event
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - handled.started
    await connection.close()
    if handled.count != jobs:
        raise WrongResult(f"{handled.count} jobs handled, not {jobs}")
    return {"jobs": jobs, "seconds": seconds}


async def verify(dsn: str, count: str, expected: int) -> None:
    """Raises WrongResult unless the query `count` returns as many."""
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval(count)
    await connection.close()
    if found != expected:
        raise WrongResult(f"{found} jobs, not {expected}: {count}")


async def follow(
    dsn: str, jobs: int, trigger: str, row_id: str, create: Callable[[], Awaitable[int]]
) -> dict[str, Any]:
    """One job after the other on an idle system: milliseconds from before the create to the
    notification.

    A trigger on the table sends the id of a job that is done by NOTIFY, which arrives when that
    is committed.
    """
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "CREATE FUNCTION bench_finished() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_notify('bench_finished', {row_id}::text); RETURN NULL; END $$"
    )
    await connection.execute(
        f"CREATE TRIGGER bench_finished {trigger} EXECUTE FUNCTION bench_finished()"
    )
    notified: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("bench_finished", lambda *said: notified.put_nowait(said[-1]))
    await wait_for_start()
    milliseconds = []
    for _ in range(WARM_UP + jobs):
        began = time.perf_counter()
        job_id = await create()
        said = await notified.get()
        milliseconds.append((time.perf_counter() - began) * 1000)
        if said != str(job_id):
            raise WrongResult(f"notified of job {said}, not {job_id}")
    await connection.close()
    return {"milliseconds": milliseconds[WARM_UP:], "in_all": WARM_UP + jobs}
