"""Reads what the processes of one installation have traced: a folder of span files."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.span import Span, decode

SUFFIX = ".spans.jsonl"


def read_spans(folder: Path, *needles: str) -> Iterator[Span]:
    """Spans whose line contains one of `needles`; torn lines are left out.

    The plain search comes first since it is far cheaper than decoding. Files
    that vanish meanwhile, or a folder that is not there, count as empty.
    """
    wanted = [needle.encode() for needle in needles]
    for path in sorted(folder.glob("*" + SUFFIX)):
        try:
            with path.open("rb") as lines:
                for line in lines:
                    if any(needle in line for needle in wanted) and (span := decode(line)):
                        yield span
        except FileNotFoundError:
            continue


def find_trace(folder: Path, trace_id: str) -> list[Span]:
    """All spans of a trace, in order of their start; empty when there are none."""
    found = {s.span_id: s for s in read_spans(folder, trace_id) if s.trace_id == trace_id}
    return sorted(found.values(), key=lambda s: (s.start_ns, s.span_id))


def find_trace_ids(folder: Path, job_id: str) -> list[str]:
    """The traces that a job appears in, earliest first; usually one."""
    spans = [s for s in read_spans(folder, job_id) if s.attributes.get(MESSAGE_ID) == job_id]
    spans.sort(key=lambda s: s.start_ns)
    return list(dict.fromkeys(s.trace_id for s in spans))


def remove_older(folder: Path, seconds: float) -> None:
    """Removes the span files that nobody has written to for so long."""
    oldest = time.time() - seconds
    for path in folder.glob("*" + SUFFIX):
        with suppress(FileNotFoundError):  # somebody else removes them too
            if path.stat().st_mtime < oldest:
                path.unlink()
