"""The history of a queue as sparklines, within 80 columns. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import TypeAlias

from jobsvc.cli.sparkline import short_duration, short_number, sparkline
from jobsvc.client import DurationPercentiles, QueueHistoryStep

_NAME_WIDTH = 16
_NUMBER_WIDTH = 11
#: Most bars, which leaves room for two numbers in 80 columns.
_MAX_BARS = 40
#: Lengths of a step, in minutes; each is a whole part of a day.
_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30, 36)
_DAY = 1440
_Value: TypeAlias = Callable[[QueueHistoryStep], float | None]


def window_and_step(seconds: float) -> tuple[int, int]:
    """Returns how far to look back, at least so many seconds but a day at most, and the length of a
    step, both in seconds: a whole number of steps, of which each has its bar."""
    minutes = min(max(ceil(seconds / 60), 1), _DAY)
    step = next(step for step in _STEPS if ceil(minutes / step) <= _MAX_BARS)
    return ceil(minutes / step) * step * 60, step * 60


def history_lines(steps: Sequence[QueueHistoryStep], encoding: str) -> Iterator[str]:
    """Yields a line for each number that says anything, with its last value and its largest, and a
    line with the reasons of failures."""
    if not steps:
        return
    if not any(map(_says_anything, steps)):
        yield f"{'history':<{_NAME_WIDTH}}nothing in the last {_span(steps)}"
        return
    bar = short_duration(steps[0].duration_seconds)
    title = f"{_span(steps)}, {bar} a bar"
    bars = max(len(steps), len(title))
    yield _line("history", title, bars, "now", "most")
    for name, value, text, always in _ROWS:
        values = [value(step) for step in steps]
        known = [found for found in values if found is not None]
        if not (always or any(known)):
            continue
        last = "" if values[-1] is None else text(values[-1])
        most = text(max(known)) if known else ""
        line = sparkline(values, encoding)
        yield _line(name, line, bars, last, most)
    reasons: Counter[str] = Counter()
    for step in steps:
        reasons.update(step.failed_counts)
    if reasons:
        words = ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common())
        yield f"{'failed because':<{_NAME_WIDTH}}{words}"


def _line(name: str, text: str, bars: int, last: str, most: str) -> str:
    numbers = f"{last:>{_NUMBER_WIDTH}}{most:>{_NUMBER_WIDTH}}"
    return f"{name:<{_NAME_WIDTH}}{text:<{bars}}{numbers}".rstrip()


def _says_anything(step: QueueHistoryStep) -> bool:
    counts = (step.created_count, step.completed_count, step.cancelled_count, step.failed_count)
    depths = (step.retried_count, step.ready_count, step.processing_count)
    return any(counts) or any(depths) or step.wait is not None or step.run is not None


def _span(steps: Sequence[QueueHistoryStep]) -> str:
    minutes = round(sum(step.duration_seconds for step in steps) / 60)
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def _rate(count: Callable[[QueueHistoryStep], int]) -> _Value:
    return lambda step: count(step) * 60 / step.duration_seconds


def _part(
    of: Callable[[QueueHistoryStep], DurationPercentiles | None],
    seconds: Callable[[DurationPercentiles], float],
) -> _Value:
    def value(step: QueueHistoryStep) -> float | None:
        found = of(step)
        return None if found is None else seconds(found)

    return value


def _rate_text(value: float) -> str:
    return f"{short_number(value)}/min"


#: Name, value, its text, and whether the line is there when nothing but zeros is.
_ROWS: tuple[tuple[str, _Value, Callable[[float], str], bool], ...] = (
    ("created", _rate(lambda step: step.created_count), _rate_text, True),
    ("completed", _rate(lambda step: step.completed_count), _rate_text, True),
    ("failed", _rate(lambda step: step.failed_count), _rate_text, True),
    ("cancelled", _rate(lambda step: step.cancelled_count), _rate_text, False),
    ("retried", _rate(lambda step: step.retried_count), _rate_text, False),
    ("wait p50", _part(lambda s: s.wait, lambda p: p.p50_seconds), short_duration, False),
    ("wait p95", _part(lambda s: s.wait, lambda p: p.p95_seconds), short_duration, False),
    ("wait p99", _part(lambda s: s.wait, lambda p: p.p99_seconds), short_duration, False),
    ("run p50", _part(lambda s: s.run, lambda p: p.p50_seconds), short_duration, False),
    ("run p95", _part(lambda s: s.run, lambda p: p.p95_seconds), short_duration, False),
    ("run p99", _part(lambda s: s.run, lambda p: p.p99_seconds), short_duration, False),
    ("most ready", lambda step: step.ready_count, short_number, False),
    ("most running", lambda step: step.processing_count, short_number, False),
)
