"""Orders the spans of a trace for drawing. Pure: takes spans, returns rows and bars."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobsvc.telemetry import ERROR_TYPE, JOB_ATTEMPT, JOB_STATE, MESSAGE_ID
from jobsvc.tracing.span import Span


@dataclass(frozen=True, slots=True)
class Row:
    """One span with its position in the tree and in time.

    `lasts` tells for each level below the root, the span's own included, whether
    no sibling follows. `offset_ns` is the time since the first span began; `begin`
    and `end` are shares (0 to 1) of the whole trace.
    """

    span: Span
    lasts: tuple[bool, ...]
    offset_ns: int
    begin: float
    end: float

    @property
    def duration_ns(self) -> int:
        """Duration of the span; 0 if a clock was set back."""
        return max(0, self.span.end_ns - self.span.start_ns)


def spans_of_job(spans: Iterable[Span], job_id: str) -> list[Span]:
    """Returns the spans of a trace that belong to a job or to no job.

    A span belongs to the job in its `messaging.message.id`, else to that of its
    nearest ancestor with one: so the calls of another job in the same batch are
    left out with that job.
    """
    by_id = {span.span_id: span for span in spans}

    def job_of(span: Span) -> str | None:
        seen: set[str] = set()
        at: Span | None = span
        while at is not None and at.span_id not in seen:
            if MESSAGE_ID in at.attributes:
                return str(at.attributes[MESSAGE_ID])
            seen.add(at.span_id)
            at = by_id.get(at.parent_id)
        return None

    return [span for span in by_id.values() if job_of(span) in (None, job_id)]


def rows(spans: Iterable[Span]) -> list[Row]:
    """Returns the spans as a tree, parents first, siblings in order of their start.

    A span whose parent is not among them is a root. Every span appears exactly
    once, also when damaged records claim to be each other's parents.
    """
    by_id = {span.span_id: span for span in spans}
    if not by_id:
        return []
    ordered = sorted(by_id.values(), key=lambda s: (s.start_ns, s.span_id))
    origin = ordered[0].start_ns
    total = max(1, max(s.end_ns for s in ordered) - origin)
    children: dict[str, list[Span]] = defaultdict(list)
    for span in ordered:
        if span.parent_id in by_id and span.parent_id != span.span_id:
            children[span.parent_id].append(span)
    nested = {span.span_id for siblings in children.values() for span in siblings}
    roots = [span for span in ordered if span.span_id not in nested]

    result: list[Row] = []
    seen: set[str] = set()
    # Spans in a ring have no root; they follow as roots of their own.
    for root in [*roots, *ordered]:
        stack: list[tuple[Span, tuple[bool, ...]]] = [(root, ())]
        while stack:
            span, lasts = stack.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            offset = span.start_ns - origin
            end = max(offset, span.end_ns - origin)
            result.append(Row(span, lasts, offset, offset / total, min(1.0, end / total)))
            below = children[span.span_id]
            for index in range(len(below) - 1, -1, -1):
                stack.append((below[index], (*lasts, index == len(below) - 1)))
    return result


def bar_cells(row: Row, width: int) -> tuple[int, int]:
    """Returns the first cell of a row's bar and the one after its last: at least one of `width`."""
    first = min(width - 1, int(row.begin * width))
    past = max(first + 1, min(width, round(row.end * width)))
    return first, past


def notes(span: Span, names: Mapping[str, str]) -> list[str]:
    """Returns the notes on a span: attempt, state, error, links.

    `names` gives the names of the spans of the trace by span id.
    """
    found: list[str] = []
    if JOB_ATTEMPT in span.attributes:
        found.append(f"attempt {span.attributes[JOB_ATTEMPT]}")
    if JOB_STATE in span.attributes:
        found.append(str(span.attributes[JOB_STATE]))
    if span.status == "ERROR":
        kind = str(span.attributes.get(ERROR_TYPE, ""))
        message = _first_line(span.status_message)
        words = ["ERROR", message if message.startswith(kind) else f"{kind} {message}"]
        found.append(" ".join(words).strip())
    for link in span.links:
        if link.span_id == span.parent_id:
            found.append("linked to parent")
        elif link.span_id in names:
            found.append(f"linked to {names[link.span_id]}")
        else:
            found.append(f"linked to {link.trace_id}/{link.span_id}")
    return found


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def services(spans: Sequence[Span]) -> list[str]:
    """Returns the services of the spans, in order of appearance."""
    return list(dict.fromkeys(span.service for span in spans))
