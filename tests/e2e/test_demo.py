"""`jobsvc demo` does what it promises to somebody who sees the project for the first time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest


def jobsvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-m", "jobsvc", *arguments],
        # A DSN of the user must not be touched: nothing listens behind this one.
        env={**environment, "JOBSVC_DSN": "postgresql://127.0.0.1:9/users_own"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.xdist_group("demo")
def test_demo_shows_results_retry_failure_and_trace_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "demo"
    done = jobsvc("demo", "--dir", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^25 jobs: 24 completed, 1 failed, 2 retried, in ", done.stdout, re.MULTILINE)
    assert "SERVER_UNAVAILABLE: the server answered HTTP 503" in done.stdout
    for line in ("JobService/", "send news-analyzer", "attempt 1", "attempt 2", "COMPLETED"):
        assert line in done.stdout.partition("What happened to")[2]
    left = [p for p in psutil.process_iter(["cmdline"]) if str(folder) in str(p.info["cmdline"])]
    assert left == []

    found = re.search(r"jobsvc trace (\S+) ", done.stdout)
    assert found
    traced = jobsvc("trace", found.group(1), "--from", str(folder / "traces"))
    assert traced.returncode == 0, traced.stderr
    assert traced.stdout.count("process news-analyzer") == 2
    assert len(re.findall(r"^trace [0-9a-f]{32} ", traced.stdout, re.MULTILINE)) == 1
