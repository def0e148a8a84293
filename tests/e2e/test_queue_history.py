"""The history of a queue outlives a kill -9, but for the minute that was being counted."""

import pytest

from tests.e2e.support.stage import Stage
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(300)]


async def test_minutes_that_have_ended_are_there_after_a_kill(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        await caller.follow([await caller.create("nap") for _ in range(5)])

        async def completed() -> int:
            steps = await caller.client.queue_history("nap")
            return sum(step.completed_count for step in steps)

        # A minute of the clock, which nobody can move here.
        await eventually(completed, lambda count: count == 5, seconds=150)
        (stats,) = await caller.client.queue_stats("nap", recent=True)
        assert stats.recent is not None
        assert (stats.recent.created_count, stats.recent.completed_count) == (5, 5)
        assert stats.recent.run is not None
        assert stats.recent.wait is not None
    server.kill()
    back = await stage.serve(embedded=True, port=server.port)
    async with stage.calls(back.target) as caller:
        steps = await caller.client.queue_history("nap")
        assert sum(step.created_count for step in steps) == 5
        assert sum(step.run.count for step in steps if step.run) == 5
