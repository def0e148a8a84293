"""Resources that processes have used."""

import subprocess
import sys

from bench.measure.process_tree import cpu_seconds, peak_mb

_PARENT = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.2: pass"])
hold = bytearray(50_000_000)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_child_that_has_ended_counts_and_memory_is_seen() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert cpu_seconds(process.pid) >= 0.2
        assert 50 < peak_mb(process.pid) < 500
        process.stdin.close()


def test_a_process_that_is_gone_has_used_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    assert cpu_seconds(process.pid) == 0
    assert peak_mb(process.pid) == 0
