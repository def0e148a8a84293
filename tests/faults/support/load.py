"""Callers that create and follow jobs of every habit until they are told to stop."""

import asyncio
import random
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from jobsvc.client import AsyncClient, CallFailed, RetryPolicy
from tests.e2e.support.caller import Caller
from tests.faults.support.installation import Installation
from tests.support.probe import eventually

CALLERS = 20
#: A run and its drain: a job that has not ended by then never will.
_FOLLOW_SECONDS = 600.0
_IMPATIENT_SECONDS = 0.5
_POISON_ATTEMPTS = 2
_POISON_SECONDS = 90.0


class Load:
    """The callers of one run, each with a connection and dice of its own."""

    def __init__(self, installation: Installation, seed: int) -> None:
        self._installation = installation
        self._seed = seed
        self.callers: list[Caller] = []
        #: Jobs whose creation was acknowledged.
        self.created = 0
        self._stop = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for index in range(CALLERS):
            target = self._installation.target(index)
            # Every other one gives up soon, and so has creations in doubt to repeat by itself.
            client = AsyncClient(target, timeout=_IMPATIENT_SECONDS if index % 2 else 30.0)
            history = self._installation.stage.history
            caller = Caller(target, history, _FOLLOW_SECONDS, client)
            self.callers.append(await self._stack.enter_async_context(caller))
        self._tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._work = [
            self._tasks.create_task(self._call(caller, random.Random(f"{self._seed}/{index}")))
            for index, caller in enumerate(self.callers)
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    @property
    def ended(self) -> set[str]:
        """Jobs that were seen to end."""
        return {job_id for caller in self.callers for job_id in caller.ended}

    @property
    def ended_count(self) -> int:
        """How many jobs were seen to end."""
        return sum(len(caller.ended) for caller in self.callers)

    async def stop(self, seconds: float) -> bool:
        """Creates no more, and follows what there is to its end. False if that takes longer."""
        self._stop.set()
        _, late = await asyncio.wait(self._work, timeout=seconds)
        for task in late:
            task.cancel()
        return not late

    async def poison(self) -> int:
        """A job that takes down every worker that begins it. Returns how many it took."""
        caller = self.callers[0]
        retry = RetryPolicy(max_attempts=_POISON_ATTEMPTS)
        job_id = await self._created(caller, "dies", {}, retry=retry)
        history = self._installation.stage.history
        await eventually(
            lambda: history.runs(job_id), seconds=_POISON_SECONDS, what="the poison job"
        )
        self._work.append(self._tasks.create_task(self._follow(caller, [job_id])))
        return len(history.runs(job_id))

    async def _call(self, caller: Caller, dice: random.Random) -> None:
        async with asyncio.TaskGroup() as follows:
            while not self._stop.is_set():
                job_ids = [
                    await self._created(caller, *_choose(dice)) for _ in range(dice.randint(1, 4))
                ]
                follows.create_task(self._follow(caller, [i for i in job_ids if i]))
                await asyncio.sleep(dice.uniform(0.3, 1.2))  # The caller's own pace.

    async def _created(
        self, caller: Caller, queue: str, input_: dict[str, Any], **options: Any
    ) -> str:
        try:
            job_id = await caller.create(queue, input_, **options)
        except CallFailed as failure:
            self._installation.surprises.append(f"a creation failed: {failure!r}")
            return ""
        self.created += 1
        return job_id

    async def _follow(self, caller: Caller, job_ids: list[str]) -> None:
        try:
            await caller.follow(job_ids)
        except AssertionError as error:
            self._installation.surprises.append(f"a stream ended with {error}")


def _choose(dice: random.Random) -> tuple[str, dict[str, Any]]:
    """A queue and an input. Most jobs are short, some outlive a lease."""
    seconds = dice.uniform(2, 6) if dice.random() < 0.1 else dice.uniform(0, 0.3)
    queue = dice.choices(["nap", "thread-nap", "greet", "flaky", "raises"], [8, 4, 4, 2, 1])[0]
    return queue, {"seconds": seconds, "name": "you"}
