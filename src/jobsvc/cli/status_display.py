"""Shows jobs while they run: a live table in a terminal, a line for each update elsewhere."""

from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobsvc.cli.job_text import error_text, state_text
from jobsvc.client import JobState, JobStatus, JobUpdate
from jobsvc.plain_text import one_line

_REFRESHES_PER_SECOND = 8
_BAR_WIDTH = 20
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
        self._updates[update.job_id] = update
        if self._live is None:
            self._console.print(update_line(update), markup=False, soft_wrap=True)

    def _draw(self) -> RenderableType:
        # A copy, because a thread of its own draws the table.
        updates = list(self._updates.values())
        now = datetime.now(UTC)
        shown = sorted(updates, key=lambda update: update.status.ended)
        shown = shown[: max(1, self._console.height - _OTHER_LINES)]
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
        for name in ("job", "queue", "state", "progress", "try", "took"):
            table.add_column(name, no_wrap=True)
        table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
        for update in shown:
            status = update.status
            percent = 100 if status.succeeded else status.progress_percent or 0
            table.add_row(
                update.job_id,
                update.queue,
                state_text(status.state),
                ProgressBar(total=100, completed=percent, width=_BAR_WIDTH),
                str(status.attempt or ""),
                took_text(status, now),
                Text(remark_text(status), "red" if status.error else ""),
            )
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
    """Returns the error of a status, or else the progress message of the worker, in one line."""
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
