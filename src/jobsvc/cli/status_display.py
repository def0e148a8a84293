"""Shows jobs while they run: a live table in a terminal, a line for each update elsewhere."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobsvc.cli.column_widths import GAP, fit_columns, short_id
from jobsvc.cli.job_text import error_text, state_text, wait_text
from jobsvc.client import Job, JobState, JobStatus, JobUpdate
from jobsvc.plain_text import one_line

_REFRESHES_PER_SECOND = 8
_STATE_WIDTH = max(len(state.name) for state in JobState)
_BAR_WIDTH = 20
#: Most errors that are printed in full.
_FAILURES = 10
#: At the least, where the terminal is wide enough.
_REMARK_WIDTH = 16
#: Lines of the terminal reserved for the header, the sums and the prompt.
_OTHER_LINES = 4


class StatusDisplay:
    """Shows each `JobUpdate` on `console`, while its block runs.

    A terminal gets a table that repaints itself, jobs that have not ended
    first; anything else a line for each update.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._updates: dict[str, JobUpdate] = {}
        self._live: Live | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._draw,
                refresh_per_second=_REFRESHES_PER_SECOND,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, update: JobUpdate) -> None:
        """Shows the newest status of a job."""
        with self._lock:
            self._show(update)

    def explain(self, job: Job) -> None:
        """Shows why a job waits, if it does so still and this is news. From any thread."""
        reason = job.status.wait_reason
        with self._lock:
            shown = self._updates.get(job.id)
            if shown is None or shown.status.version != job.status.version:
                return
            if reason and reason != shown.status.wait_reason:
                self._show(replace(shown, status=replace(shown.status, wait_reason=reason)))

    def tell_failures(self) -> None:
        """Prints what the table has cut: the errors of the first jobs that did not succeed. To be
        called after the block."""
        if not self._console.is_terminal:
            return
        ended = [update for update in self._updates.values() if update.status.ended]
        for update in [update for update in ended if not update.status.succeeded][:_FAILURES]:
            if remark := remark_text(update.status):
                self._console.print(f"{update.job_id}: {remark}", markup=False, style="red")

    def _show(self, update: JobUpdate) -> None:
        self._updates[update.job_id] = update
        if self._live is None:
            self._console.print(update_line(update), markup=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        # A copy, because a thread of its own draws the table.
        updates = list(self._updates.values())
        now = datetime.now(UTC)
        shown = sorted(updates, key=lambda update: update.status.ended)
        shown = shown[: max(1, self._console.height - _OTHER_LINES)]
        took = [took_text(update.status, now) for update in shown]
        # The remark gets what is left, or takes it from others.
        wanted = {
            "job": max(len(text) for text in ("job", *(u.job_id for u in updates))),
            "queue": max(len(text) for text in ("queue", *(u.queue for u in updates))),
            "state": _STATE_WIDTH,
            "progress": _BAR_WIDTH,
            "try": len("try"),
            "took": max(len(text) for text in ("100.0 s", *took)),
            "remark": _REMARK_WIDTH,
        }
        widths = fit_columns(wanted, self._console.width)
        table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", expand=True)
        columns = [name for name, width in widths.items() if width]
        for name in columns:
            if name == "remark":
                table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
            else:
                table.add_column(name, no_wrap=True, width=widths[name])
        for update, seconds in zip(shown, took, strict=True):
            status = update.status
            percent = 100 if status.succeeded else status.progress_percent or 0
            cells: dict[str, RenderableType] = {
                "job": short_id(update.job_id, widths["job"]),
                "queue": update.queue,
                "state": state_text(status.state),
                "progress": ProgressBar(total=100, completed=percent, width=widths["progress"]),
                "try": str(status.attempt or ""),
                "took": seconds,
                "remark": Text(remark_text(status), "red" if status.error else ""),
            }
            table.add_row(*(cells[name] for name in columns))
        return Group(table, Text(sums_text(updates, len(shown)), "dim"))


def update_line(update: JobUpdate) -> str:
    """Returns an update in one line: id, queue, state, attempt, progress and remark."""
    status = update.status
    words = [update.job_id, update.queue, status.state.name]
    if status.attempt:
        words.append(f"attempt {status.attempt}")
    if status.progress_percent is not None and not status.ended:
        words.append(f"{status.progress_percent} %")
    remark = remark_text(status)
    return " ".join([*words, remark] if remark else words)


def remark_text(status: JobStatus) -> str:
    """Returns why a job waits, or the error of a status, or the progress message of the worker, in
    one line."""
    if status.wait_reason:
        words = [wait_text(status.wait_reason)]
        return one_line(": ".join([*words, error_text(status.error)] if status.error else words))
    if status.error is not None and not status.succeeded:
        return one_line(error_text(status.error))
    if status.cancel_request_time is not None and not status.ended:
        return "cancellation requested"
    return "" if status.ended else one_line(status.progress_message)


def took_text(status: JobStatus, now: datetime) -> str:
    """Returns how long the current or last attempt has run, at `now`."""
    if status.start_time is None or status.state is JobState.PENDING:
        return ""
    # The two clocks may differ: the start is by the server's.
    seconds = ((status.end_time or now) - status.start_time).total_seconds()
    return f"{max(0.0, seconds):.1f} s"


def sums_text(updates: list[JobUpdate], shown: int) -> str:
    """Returns how many jobs are in each state, and how many jobs have no line."""
    counts = dict.fromkeys(JobState, 0)
    for update in updates:
        counts[update.status.state] += 1
    sums = ", ".join(f"{count} {state.name}" for state, count in counts.items() if count)
    hidden = len(updates) - shown
    return f"{sums}; {hidden} not shown" if hidden else sums
