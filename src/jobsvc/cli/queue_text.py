"""Queues and workers as text: JSON for programs, tables for people."""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobsvc.cli.column_widths import GAP
from jobsvc.cli.job_text import time_text
from jobsvc.client import Queue, QueueHistoryStep, QueueStats, Worker
from jobsvc.plain_text import json_text, one_line

#: Of the facts of a queue.
_NAME_WIDTH = 16


def value_json(value: Queue | QueueStats | Worker, indent: int | None = None) -> str:
    """Returns a queue, its counts or a worker as a JSON object: the fields of the class."""
    return json_text(json.dumps(asdict(value), indent=indent, ensure_ascii=False, default=_plain))


def queue_json(queue: Queue, history: Sequence[QueueHistoryStep]) -> str:
    """Returns a queue as a JSON object, with the steps of its history."""
    whole = asdict(queue) | {"history": [asdict(step) for step in history]}
    return json_text(json.dumps(whole, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: datetime) -> str:
    return value.isoformat()


def print_queues(counts: Iterable[QueueStats], console: Console) -> None:
    """Prints a line for each queue."""
    console.print(queue_table(counts, console.width))


def queue_table(counts: Iterable[QueueStats], width: int) -> Table:
    """Returns a table of at most `width` columns with a line for each queue."""
    names = ("queue", "state", "ready", "scheduled", "running", "oldest", "workers")
    rows = [
        (
            queue.queue,
            _state(queue),
            f"{queue.ready_count:,}",
            f"{queue.scheduled_count:,}",
            f"{queue.processing_count:,}",
            "" if queue.oldest_ready_seconds is None else _age(queue.oldest_ready_seconds),
            f"{queue.worker_count:,}",
        )
        for queue in counts
    ]
    return _table(names, rows, width, {"queue"}, {"queue", "state"})


def print_queue(queue: Queue, counts: QueueStats, console: Console) -> None:
    """Prints all that is known about a queue."""
    for name, value in _facts(queue, counts):
        console.print(Text(f"{name:<{_NAME_WIDTH}}{one_line(value)}"), soft_wrap=True)


def _facts(queue: Queue, counts: QueueStats) -> Iterator[tuple[str, str]]:
    yield "queue", queue.name
    yield "state", _state(queue)
    if queue.pause_reason:
        yield "paused because", queue.pause_reason
    if queue.pause_end_time is not None:
        yield "paused until", time_text(queue.pause_end_time)
    yield "ready", f"{counts.ready_count:,}"
    yield "scheduled", f"{counts.scheduled_count:,}"
    yield "running", f"{counts.processing_count:,}"
    if counts.oldest_ready_seconds is not None:
        yield "oldest", _age(counts.oldest_ready_seconds)
    yield "workers", f"{counts.worker_count:,} with room for {counts.open_window:,}"
    if queue.max_waiting is not None:
        is_full = counts.ready_count + counts.scheduled_count >= queue.max_waiting
        remark = " (full: creations are refused)" if is_full else ""
        yield "may wait", f"{queue.max_waiting:,}{remark}"
    if queue.max_attempts is not None:
        yield "attempts", str(queue.max_attempts)
    for name, seconds in (
        ("attempt timeout", queue.attempt_timeout_seconds),
        ("lease", queue.lease_seconds),
        ("start within", queue.start_within_seconds),
        ("retention", queue.retention_seconds),
    ):
        if seconds is not None:
            yield name, _age(seconds)
    for name, time in (("created", queue.create_time), ("changed", queue.update_time)):
        if time is not None:
            yield name, time_text(time)
    yield "etag", queue.etag


def print_workers(workers: Sequence[Worker], console: Console) -> None:
    """Prints a line for each worker."""
    now = datetime.now(UTC)
    names = ("worker", "queues", "holds", "window", "longest", "since", "server")
    rows = [
        (
            one_line(worker.id),
            " ".join(worker.queues),
            f"{worker.lease_count:,}",
            "drains" if worker.drain_time else f"{worker.window:,}",
            _since(min((h.start_time for h in worker.leases if h.start_time), default=None), now),
            _since(worker.connect_time, now),
            one_line(worker.server_id),
        )
        for worker in workers
    ]
    texts = {"worker", "queues", "server"}
    console.print(_table(names, rows, console.width, texts, texts))


def _table(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    total: int,
    may_be_cut: Collection[str],
    texts: Collection[str],
) -> Table:
    """A table of at most `total` columns of the terminal: texts to the left, numbers to the right,
    and some cut where it is too wide."""
    widths = {
        name: max(map(len, (name, *(row[index] for row in rows))))
        for index, name in enumerate(names)
    }
    left = total - sum(w for n, w in widths.items() if n not in may_be_cut) - GAP * len(names)
    # The narrow ones first: what they leave is for the others.
    narrow_first = sorted(may_be_cut, key=lambda name: widths[name])
    for done, name in enumerate(narrow_first):
        widths[name] = max(min(widths[name], left // (len(narrow_first) - done)), 1)
        left -= widths[name]
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for name, width in widths.items():
        justify: Literal["left", "right"] = "left" if name in texts else "right"
        table.add_column(name, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _since(time: datetime | None, now: datetime) -> str:
    return "" if time is None else _age(max((now - time).total_seconds(), 0))


def _state(queue: Queue | QueueStats) -> str:
    if queue.deleting:
        return "deleting"
    return "paused" if queue.paused else "active"


def _age(seconds: float) -> str:
    """A length of time in its largest unit, as the options of commands are written."""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
