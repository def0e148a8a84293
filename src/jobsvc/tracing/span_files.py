"""Reads files of spans: those that our processes write, one each, and those of collectors."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from jobsvc.telemetry import MESSAGE_ID
from jobsvc.tracing.otlp_json import decode_traces
from jobsvc.tracing.span import Span, decode

SUFFIX = ".spans.jsonl"
#: Of files with a JSON object on each line.
_ENDINGS = (".jsonl", ".json")


def read_spans(where: Path, *needles: str) -> Iterator[Span]:
    """Yields the spans of the lines that contain one of `needles`, in a file or all files of a
    folder; leaves out torn lines, and lines about something else.

    The plain search comes first, as it is far cheaper than decoding. A missing
    folder, or a file that vanishes meanwhile, counts as empty.
    """
    wanted = [needle.encode() for needle in needles]
    for path in _files(where):
        try:
            with path.open("rb") as lines:
                for line in lines:
                    if any(needle in line for needle in wanted):
                        yield from _decode(line)
        except FileNotFoundError:
            continue


def _files(where: Path) -> Sequence[Path]:
    if not where.is_dir():
        return [where]
    return sorted(path for ending in _ENDINGS for path in where.glob("*" + ending))


def _decode(line: bytes) -> Sequence[Span]:
    if (span := decode(line)) is not None:
        return [span]
    try:
        return decode_traces(line)
    except ValueError:
        return []


def find_trace(where: Path, trace_id: str) -> list[Span]:
    """Returns all spans of a trace, in order of their start."""
    found = {s.span_id: s for s in read_spans(where, trace_id) if s.trace_id == trace_id}
    return sorted(found.values(), key=lambda s: (s.start_ns, s.span_id))


def find_trace_ids(where: Path, job_id: str) -> list[str]:
    """Returns the ids of the traces that name a job, earliest first; usually one."""
    spans = [s for s in read_spans(where, job_id) if s.attributes.get(MESSAGE_ID) == job_id]
    spans.sort(key=lambda s: s.start_ns)
    return list(dict.fromkeys(s.trace_id for s in spans))


def remove_older(folder: Path, seconds: float) -> None:
    """Removes the span files that were last written to longer than `seconds` ago."""
    oldest = time.time() - seconds
    for path in folder.glob("*" + SUFFIX):
        with suppress(FileNotFoundError):  # another process removes them too
            if path.stat().st_mtime < oldest:
                path.unlink()
