"""The demo finds each result that is not as it must be, and names it."""

from dataclasses import replace
from io import StringIO

import msgspec
from rich.console import Console

from jobsvc.client import JobState
from jobsvc.demo.documents import Document
from jobsvc.demo.results import Analysis, Result, find_problems, result_table, summarize

OUTPUT = b"""{"title": null, "language": {"code": "en", "confidence": 0.9},
"counts": {"characters": 9, "words": 1234, "sentences": 1, "paragraphs": 1},
"readingTimeSeconds": 75, "keywords": [{"text": "harbour", "score": 1.0, "count": 3}]}"""

ANALYSIS = msgspec.json.decode(OUTPUT, type=Analysis)
GOOD = Result(Document("good", {}), "1", JobState.COMPLETED, 1, 0.1, ANALYSIS)
BUSY = Result(Document("busy", {}, attempts=2), "2", JobState.COMPLETED, 2, 0.5, ANALYSIS)
DOWN = Result(
    Document("down", {}, JobState.FAILED, 2),
    "3",
    JobState.FAILED,
    2,
    0.6,
    error="SERVER_UNAVAILABLE: 503",
)


def test_expected_ends_are_no_problem() -> None:
    assert find_problems([GOOD, BUSY, DOWN]) == []


def test_every_other_end_is_named() -> None:
    results = [
        Result(GOOD.document, "1", JobState.FAILED, 1, 0.1, error="NO_TEXT: empty"),
        Result(BUSY.document, "2", JobState.COMPLETED, 1, 0.1, ANALYSIS),
        Result(DOWN.document, "3", JobState.COMPLETED, 2, 0.1, ANALYSIS),
        Result(GOOD.document, "4", JobState.COMPLETED, 1, 0.1),
    ]
    assert find_problems(results) == [
        "good: FAILED after 1 attempt(s) instead of COMPLETED after 1 NO_TEXT: empty",
        "busy: COMPLETED after 1 attempt(s) instead of COMPLETED after 2",
        "down: COMPLETED after 2 attempt(s) instead of FAILED after 2",
        "good: completed without any words",
    ]


def test_table_shows_what_was_found_and_what_went_wrong() -> None:
    console = Console(width=140)
    with console.capture() as captured:
        console.print(result_table([GOOD, DOWN], console.width))
    _, good, down = captured.get().splitlines()
    assert " ".join(good.split()) == "good en 1,234 1:15 harbour COMPLETED 1 100 ms"
    assert "SERVER_UNAVAILABLE: 503" in down
    assert "FAILED" in down


def test_summary_counts_jobs_failures_and_retries() -> None:
    assert summarize([GOOD, BUSY, DOWN], 2.0) == (
        "3 jobs: 2 completed, 1 failed, 2 retried, in 2.0 s; from creation to the end p50 500 ms"
    )


def test_table_in_80_columns_keeps_state_tries_and_time() -> None:
    long = replace(GOOD, document=replace(GOOD.document, title="a site that is busy at first"))
    console = Console(width=80, record=True, file=StringIO())
    console.print(result_table([long, DOWN], console.width))
    header, completed, failed = console.export_text().splitlines()
    assert header.split() == ["document", "words", "keywords", "state", "tries", "took"]
    assert completed.startswith("a site that is busy at first  ")
    assert completed.split()[-4:] == ["COMPLETED", "1", "100", "ms"]
    assert failed.split()[-4:-2] == ["FAILED", "2"]
