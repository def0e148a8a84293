"""CPU and memory that a process and all its children have used, ended children included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_KILOBYTE = 1024
_MEGABYTE = 1024 * 1024


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its children and theirs, in user and kernel mode.

    A child that has ended counts in its parent, which has waited for it: PostgreSQL's backends
    come and go. 0 when the process itself is gone.
    """
    total = 0.0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def peak_mb(pid: int) -> float:
    """Peak memory of a process and its children, since `forget_peak` where that works.

    Private memory is added up; of shared memory (files, PostgreSQL's buffers) the largest counts.
    The peaks of two processes need not fall together, so the sum is an upper bound.
    """
    memories = [memory for process in _tree(pid) if (memory := _memory(process)) is not None]
    private = sum(peak - shared for peak, shared in memories)
    return (private + max((shared for _, shared in memories), default=0)) / _MEGABYTE


def forget_peak(pid: int) -> None:
    """Resets the peaks. Without effect where there is no /proc, or the process is not ours."""
    for process in _tree(pid):
        with suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def _memory(process: psutil.Process) -> tuple[int, int] | None:
    """Peak and shared bytes; None when the process is gone."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:  # no /proc here, or the process has just ended
        with suppress(psutil.NoSuchProcess):
            return int(process.memory_info().rss), 0
        return None
    except OSError:
        return None
    sizes = {
        name: int(rest.split()[0]) * _KILOBYTE
        for name, _, rest in (line.partition(":") for line in text.splitlines())
        if name in ("VmHWM", "RssFile", "RssShmem")
    }
    if "VmHWM" not in sizes:  # a zombie
        return None
    return sizes["VmHWM"], sizes.get("RssFile", 0) + sizes.get("RssShmem", 0)


def _tree(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)
