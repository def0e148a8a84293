"""Memory of a worker whose jobs leave cycles behind."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from jobsvc.worker.garbage import GarbageBound
from tests.worker.support.scripted_server import lease, scripted_server

_MB = 1024 * 1024

PROCESSORS = '''
from jobsvc.worker import processor

def leave_cycle() -> None:
    """Leaves 2 MB in a cycle of two objects."""
    held = {"bytes": bytearray(2 * 1024 * 1024)}
    held["self"] = held

@processor("on-loop")
async def on_loop(value: dict) -> None:
    leave_cycle()

@processor("in-thread")
def in_thread(value: dict) -> None:
    leave_cycle()
'''


def test_growth_by_a_step_is_followed_by_a_collection() -> None:
    bound = GarbageBound(100 * _MB)
    assert not bound.due(163 * _MB, 0.0)
    assert bound.due(164 * _MB, 0.0)


def test_a_large_process_has_larger_steps() -> None:
    bound = GarbageBound(1000 * _MB)
    assert not bound.due(1249 * _MB, 0.0)
    assert bound.due(1250 * _MB, 0.0)


def test_growth_that_is_no_garbage_is_not_collected_again_and_again() -> None:
    bound = GarbageBound(100 * _MB)
    bound.collected(164 * _MB, 10.0, 10.1)
    assert not bound.due(164 * _MB, 10.2)
    assert not bound.due(227 * _MB, 20.0)
    assert bound.due(228 * _MB, 10.2)


def test_memory_that_stays_high_costs_one_percent_of_the_time() -> None:
    bound = GarbageBound(100 * _MB)
    bound.collected(164 * _MB, 10.0, 10.1)
    assert not bound.due(164 * _MB, 20.0)
    assert bound.due(164 * _MB, 20.1)
    assert not bound.due(163 * _MB, 20.1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process its memory")
@pytest.mark.parametrize("queue", ["on-loop", "in-thread"])
async def test_jobs_that_leave_cycles_do_not_fill_the_memory(tmp_path: Path, queue: str) -> None:
    (tmp_path / "mine.py").write_text(PROCESSORS)
    async with scripted_server() as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jobsvc.worker", "mine", "--target", server.target),
            cwd=tmp_path,
        )
        try:
            stream = await server.next_stream()
            # 800 MB, and far fewer objects than Python waits for.
            for number in range(50):
                await stream.dispatch(*(lease(f"{number}.{n}", queue) for n in range(8)))
                await stream.outcomes(8)
            status = await asyncio.to_thread(Path(f"/proc/{process.pid}/status").read_text)
        finally:
            process.kill()
            await process.wait()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    assert int(found[1]) * 1024 < 400 * _MB
