"""The results of the demo's jobs: checked, counted, and set in a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import msgspec
from rich.table import Table
from rich.text import Text

from jobsvc.client import JobState
from jobsvc.demo.documents import Document


class _Counted(msgspec.Struct):
    words: int = 0


class _Language(msgspec.Struct):
    code: str = ""


class _Keyword(msgspec.Struct):
    text: str


class Analysis(msgspec.Struct, rename="camel"):
    """The part of a `news-analyzer` output that the table shows; the rest is ignored."""

    language: _Language = msgspec.field(default_factory=_Language)
    counts: _Counted = msgspec.field(default_factory=_Counted)
    reading_time_seconds: int = 0
    keywords: list[_Keyword] = []


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a job. `error` is reason and text of a failure; `seconds` count from creation."""

    document: Document
    job_id: str
    state: JobState
    attempts: int
    seconds: float
    analysis: Analysis = field(default_factory=Analysis)
    error: str = ""


def find_problems(results: Sequence[Result]) -> list[str]:
    """Returns each difference between the results and the expectations of their documents.

    More attempts than expected are none: delivery is at least once.
    """
    problems: list[str] = []
    for result in results:
        wanted = result.document
        if result.state != wanted.state or result.attempts < wanted.attempts:
            problems.append(
                f"{wanted.title}: {result.state.name} after {result.attempts} attempt(s) instead "
                f"of {wanted.state.name} after {wanted.attempts} {result.error}".rstrip()
            )
        elif result.state is JobState.COMPLETED and not result.analysis.counts.words:
            problems.append(f"{wanted.title}: completed without any words")
    return problems


#: A narrower table leaves out what there would be no room for.
_WIDE = 100


def result_table(results: Sequence[Result], width: int) -> Table:
    """Returns a table with a row for each job; a failed one has its error in place of keywords."""
    wide = width >= _WIDE
    # The keywords get the width that the other columns leave.
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("document", no_wrap=True)
    if wide:
        table.add_column("lang", no_wrap=True)
    table.add_column("words", justify="right", no_wrap=True)
    if wide:
        table.add_column("reading", justify="right", no_wrap=True)
    table.add_column("keywords", ratio=1, min_width=16 if wide else 1, no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("tries", justify="right", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    for result in results:
        found = result.analysis
        completed = result.state is JobState.COMPLETED
        table.add_row(
            Text(result.document.title),
            *([found.language.code] if wide else []),
            f"{found.counts.words:,}" if completed else "",
            *([_reading_time(found.reading_time_seconds) if completed else ""] if wide else []),
            Text(", ".join(keyword.text for keyword in found.keywords[:4]))
            if completed
            else Text(result.error, "red"),
            Text(result.state.name, "green" if completed else "red"),
            Text(str(result.attempts), "yellow" if result.attempts > 1 else ""),
            f"{result.seconds * 1000:,.0f} ms",
        )
    return table


def _reading_time(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def summarize(results: Sequence[Result], wall_seconds: float) -> str:
    """Returns the sums in one line."""
    completed = sum(r.state is JobState.COMPLETED for r in results)
    failed = sum(r.state is JobState.FAILED for r in results)
    retried = sum(r.attempts > 1 for r in results)
    p50 = median(r.seconds for r in results) * 1000
    return (
        f"{len(results)} jobs: {completed} completed, {failed} failed, {retried} retried, "
        f"in {wall_seconds:.1f} s; from creation to the end p50 {p50:,.0f} ms"
    )
