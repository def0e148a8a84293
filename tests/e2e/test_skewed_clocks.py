"""Only the clock of the database counts: one of a server or worker may be an hour ahead."""

import time
from pathlib import Path

import pytest

from jobsvc.client import JobState
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

RESCUE_SECONDS = LEASE_SECONDS + 5
#: Ahead only: for gRPC, whose core has the real clock, every deadline would be over otherwise.
SHIFT_SECONDS = 3600.0
#: Python runs this at the start of every process that has its folder on the path.
_SITE = """
import os, time
_shift = float(os.environ.get("E2E_CLOCK_SHIFT", "0"))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _shift
time.time_ns = lambda: _time_ns() + int(_shift * 1e9)
"""


@pytest.mark.parametrize("skewed", ["server", "workers"])
async def test_clock_that_is_an_hour_ahead_has_no_effect(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, skewed: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("E2E_CLOCK_SHIFT", str(SHIFT_SECONDS if skewed == "server" else 0))
    server = await stage.serve()
    shift = SHIFT_SECONDS if skewed == "workers" else 0
    workers = [await stage.work(server.target, E2E_CLOCK_SHIFT=str(shift)) for _ in range(2)]
    async with stage.calls(server.target) as caller:
        lost = await caller.create("nap", {"seconds": 1})
        flaky = await caller.create("flaky")
        (run,) = await eventually(lambda: stage.history.runs(lost), what="the job to lose")
        assert abs(run.time - time.time() - shift) < 60, "the clock is not what it was to be"
        (killed,) = [worker for worker in workers if worker.pid == run.pid]
        killed.kill()
        kill_time = time.monotonic()
        await caller.follow([lost])
        assert time.monotonic() - kill_time < RESCUE_SECONDS
        long = await caller.create("nap", {"seconds": LEASE_SECONDS + 1})
        await caller.follow([long, flaky])
        jobs = await caller.read([lost, long, flaky])
    assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
    assert jobs[long].status.attempt == 1
    assert [a.error.reason for a in jobs[lost].status.recent_attempts if a.error] == [
        "LEASE_EXPIRED"
    ]
