"""What `jobsvc top` shows, as lines of a terminal of a given size. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from jobsvc.cli.sparkline import short_duration, short_number
from jobsvc.client import QueueStats, Worker
from jobsvc.plain_text import one_line

#: A queue whose oldest ready job has waited for longer, while workers have room, is worth a word.
_SLOW_SECONDS = 10.0
_NAME_WIDTH = 12
_WORKER_WIDTH = 26


@dataclass(frozen=True, slots=True)
class TopState:
    """What was read at a time, and from whom. `trouble` is why it is not read anew."""

    target: str
    time: datetime
    queues: Sequence[QueueStats]
    workers: Sequence[Worker]
    trouble: str = ""


def render(state: TopState, width: int, height: int | None) -> list[Text]:
    """Returns the lines of a screen of `width` columns and `height` lines; None has all there are.

    Where there is not enough room, the queues with the most to say come first, and a line says how
    many are left out.
    """
    queues = sorted(state.queues, key=_urgency)
    waits = [f"{queue.queue}: {why}" for queue in queues if (why := wait_words(queue))]
    workers = sorted(state.workers, key=lambda worker: (-worker.lease_count, worker.id))
    lines = [_header(state, width), Text()]
    parts = (1 + len(queues), bool(waits) * (2 + len(waits)), bool(workers) * (2 + len(workers)))
    of_queues, of_waits, of_workers = (
        parts if height is None else share_lines(height - len(lines), parts)
    )
    lines += _cut(list(_queue_lines(queues, width)), of_queues, "queues")
    if waits:
        said = [Text(), Text("what waits, and why", "dim"), *map(Text, waits)]
        lines += _cut(said, of_waits, "queues")
    if workers:
        lines += _cut([Text(), *_worker_lines(workers, state.time, width)], of_workers, "workers")
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines if height is None else lines[:height]


def share_lines(height: int, wanted: Sequence[int]) -> list[int]:
    """Returns how many of `height` lines each part gets: what it wants, unless all together want
    too much. Then small parts have what they want, and large ones share the rest."""
    given = [0] * len(wanted)
    left = max(height, 0)
    small_first = sorted(range(len(wanted)), key=lambda part: wanted[part])
    for done, part in enumerate(small_first):
        given[part] = min(wanted[part], left // (len(wanted) - done))
        left -= given[part]
    return given


def wait_words(queue: QueueStats) -> str:
    """Returns why jobs of a queue wait that are ready, empty if none does for long."""
    ready = f"{queue.ready_count:,} ready"
    if queue.deleting:
        return "is being removed"
    if queue.paused:
        return f"is paused, {ready}"
    if not queue.ready_count:
        return ""
    oldest = queue.oldest_ready_seconds or 0.0
    if not queue.worker_count:
        return f"no worker is subscribed to it, {ready}"
    if not queue.open_window:
        return f"all workers are busy, {ready}"
    if oldest > _SLOW_SECONDS:
        return f"workers have room, yet a job has been ready for {short_duration(oldest)}"
    return ""


def _urgency(queue: QueueStats) -> tuple[bool, int, str]:
    busy = queue.ready_count + queue.processing_count
    return not wait_words(queue), -busy, queue.queue


def _header(state: TopState, width: int) -> Text:
    left = Text(f"jobsvc {one_line(state.target)}", "bold")
    if state.trouble:
        left.append(f"  {state.trouble}", "bold red")
    right = f"{state.time:%H:%M:%S}  q quits"
    left.truncate(max(width - len(right) - 2, 0), overflow="ellipsis")
    left.append(right.rjust(width - len(left.plain)), "dim")
    return left


def _cut(lines: list[Text], count: int, what: str) -> list[Text]:
    """The first lines of a part; the last of them says how many are missing."""
    if len(lines) <= count:
        return lines
    missing = len(lines) - count + 1
    return [*lines[: count - 1], Text(f"… {missing:,} more {what}", "dim")] if count > 0 else []


def _rate(count: Callable[[QueueStats], int]) -> Callable[[QueueStats], str]:
    def text(queue: QueueStats) -> str:
        if queue.recent is None:
            return ""
        return short_number(count(queue) * 60 / queue.recent.duration_seconds)

    return text


def _pair(queue: QueueStats, name: str) -> str:
    found = getattr(queue.recent, name, None)
    if found is None:
        return ""
    return f"{short_duration(found.p50_seconds)}/{short_duration(found.p95_seconds)}"


def _of_recent(queue: QueueStats, name: str) -> int:
    count: int = getattr(queue.recent, name, 0)
    return count


#: Header, width and text of each number of a queue.
_COLUMNS: tuple[tuple[str, int, Callable[[QueueStats], str]], ...] = (
    ("ready", 5, lambda q: short_number(q.ready_count)),
    ("sched", 5, lambda q: short_number(q.scheduled_count)),
    ("run", 4, lambda q: short_number(q.processing_count)),
    ("old", 4, lambda q: "" if (s := q.oldest_ready_seconds) is None else short_duration(s)),
    ("in/m", 4, _rate(lambda q: _of_recent(q, "created_count"))),
    ("done", 4, _rate(lambda q: _of_recent(q, "completed_count"))),
    ("fail", 4, _rate(lambda q: _of_recent(q, "failed_count"))),
    ("wait 50/95", 10, lambda q: _pair(q, "wait")),
    ("run 50/95", 9, lambda q: _pair(q, "run")),
    ("wkr", 4, lambda q: short_number(q.worker_count)),
    ("free", 4, lambda q: short_number(q.open_window)),
)


def _queue_lines(queues: Sequence[QueueStats], width: int) -> Iterator[Text]:
    numbers = sum(1 + column_width for _, column_width, _ in _COLUMNS)
    longest = max((len(queue.queue) for queue in queues), default=0)
    name_width = max(min(longest, width - numbers), _NAME_WIDTH)
    header = "".join(f" {name:>{size}}" for name, size, _ in _COLUMNS)
    yield Text(f"{'queue':<{name_width}}{header}", "dim")
    for queue in queues:
        name = Text(queue.queue)
        name.truncate(name_width, overflow="ellipsis", pad=True)
        if wait_words(queue):
            name.stylize("yellow")
        for _, size, text in _COLUMNS:
            name.append(f" {text(queue):>{size}}")
        failed = _of_recent(queue, "failed_count")
        if failed and failed > _of_recent(queue, "completed_count"):
            name.stylize("red")
        yield name


def _worker_lines(workers: Sequence[Worker], now: datetime, width: int) -> Iterator[Text]:
    name_width = min(_WORKER_WIDTH, max(len(worker.id) for worker in workers))
    name_width = max(name_width, len("worker"))
    yield Text(f"{'worker':<{name_width}} holds window longest  queues", "dim")
    for worker in workers:
        line = Text(one_line(worker.id))
        line.truncate(name_width, overflow="ellipsis", pad=True)
        begins = [lease.start_time for lease in worker.leases if lease.start_time is not None]
        longest = short_duration(max((now - min(begins)).total_seconds(), 0)) if begins else ""
        window = "drains" if worker.drain_time else short_number(worker.window)
        queues = " ".join(worker.queues)
        line.append(f" {short_number(worker.lease_count):>5} {window:>6} {longest:>7}  {queues}")
        if worker.drain_time:
            line.stylize("yellow")
        yield line
