"""Cancels against completions on two servers, while a server and a worker are killed."""

import asyncio
import random
from collections import Counter

import pytest

from tests.e2e.support.caller import Caller
from tests.e2e.support.stage import Stage
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(180)]

JOBS = 300
SEED = 20_261_201


async def test_no_answer_about_a_cancel_is_overruled_whatever_is_killed(stage: Stage) -> None:
    """The checker holds every answer that says CANCELLED against the end on record (K6)."""
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    far, near = [await stage.serve() for _ in range(2)]
    workers = [await stage.work(server.target) for server in (far, near)]
    answers: Counter[str] = Counter()

    async def run(creating: Caller, cancelling: Caller) -> None:
        job_id = await creating.create("nap", {"seconds": dice.uniform(0.0, 0.1)})
        await asyncio.sleep(dice.uniform(0.0, 0.2))  # so that it meets its job in any state
        answers[await cancelling.cancel(job_id)] += 1
        await creating.follow([job_id])

    async def run_some(callers: tuple[Caller, Caller], count: int) -> None:
        for _ in range(count):
            await run(*dice.sample(callers, 2))

    async with stage.calls(far.target) as one, stage.calls(near.target) as two:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(run_some((one, two), JOBS // 20))
            await eventually(lambda: answers.total() > JOBS // 4, seconds=60)
            near.kill()
            near = await stage.serve(port=near.port)
            await eventually(lambda: answers.total() > JOBS // 2, seconds=60)
            workers[0].kill()
            workers[0] = await stage.work(far.target)
        await stage.check(one, {**one.ended, **two.ended})
    # Those that waited, those whose worker was told, and those that came too late.
    assert answers.keys() >= {"CANCELLED", "PROCESSING", ""}, answers
