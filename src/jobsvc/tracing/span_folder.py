"""Reads a folder of span files, one for each process."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.span import Span, decode

SUFFIX = ".spans.jsonl"


def read_spans(folder: Path, *needles: str) -> Iterator[Span]:
    """Yields the spans whose line contains one of `needles`; leaves out torn lines.

    The plain search comes first, as it is far cheaper than decoding. A missing
    folder, or a file that vanishes meanwhile, counts as empty.
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
    """Returns all spans of a trace, in order of their start."""
    found = {s.span_id: s for s in read_spans(folder, trace_id) if s.trace_id == trace_id}
    return sorted(found.values(), key=lambda s: (s.start_ns, s.span_id))


def find_trace_ids(folder: Path, job_id: str) -> list[str]:
    """Returns the ids of the traces that name a job, earliest first; usually one."""
    spans = [s for s in read_spans(folder, job_id) if s.attributes.get(MESSAGE_ID) == job_id]
    spans.sort(key=lambda s: s.start_ns)
    return list(dict.fromkeys(s.trace_id for s in spans))


def remove_older(folder: Path, seconds: float) -> None:
    """Removes the span files that were last written to longer than `seconds` ago."""
    oldest = time.time() - seconds
    for path in folder.glob("*" + SUFFIX):
        with suppress(FileNotFoundError):  # another process removes them too
            if path.stat().st_mtime < oldest:
                path.unlink()
