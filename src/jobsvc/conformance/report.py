"""What came of points, as text: lines of 80 columns for people, JSON for programs. Pure."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from jobsvc.conformance.point import Point, Result, Rule
from jobsvc.plain_text import json_text, one_line

#: Columns of a line, of the name of a point, and of what it states.
WIDTH, NAME_WIDTH, STATES_WIDTH = 80, 22, 48
_INDENT = " " * 8
#: Characters of a log line that are shown.
_MAX_LOG = 300


def result_lines(result: Result) -> Iterator[str]:
    """Yields a line about a point that passed, several about one that failed."""
    mark = "passed" if result.passed else "FAILED"
    yield _row(mark, result.name, result.states)
    if not result.passed:
        yield from _told("seen", one_line(result.fault))
        yield from _told("read", _rule_text(result.rule))
        if result.last_words:
            yield from _told("log", one_line(result.last_words[:_MAX_LOG]))


def point_lines(point: Point[Any]) -> Iterator[str]:
    """Yields what a point states, and where the contract does. Any: whatever it is played on."""
    yield f"{point.name:<{NAME_WIDTH}} {point.states}"
    yield from _told("read", _rule_text(point.rule))


def summary(results: Sequence[Result]) -> str:
    """Returns the last line."""
    passed = sum(result.passed for result in results)
    points = "1 point" if len(results) == 1 else f"{len(results)} points"
    return f"{points}: {passed} passed, {len(results) - passed} failed"


def result_json(result: Result) -> str:
    """Returns a result as one line of JSON."""
    fields = {
        "point": result.name,
        "passed": result.passed,
        "states": result.states,
        "seen": result.fault,
        "read": asdict(result.rule),
        "log": result.last_words,
        "seconds": round(result.seconds, 1),
    }
    return _json(fields)


def point_json(point: Point[Any]) -> str:
    """Returns a point as one line of JSON."""
    return _json({"point": point.name, "states": point.states, "read": asdict(point.rule)})


def _json(fields: dict[str, object]) -> str:
    return json_text(json.dumps(fields, ensure_ascii=False))


def _row(mark: str, name: str, states: str) -> str:
    return f"{mark:<7} {name:<{NAME_WIDTH}} {states}"


def _rule_text(rule: Rule) -> str:
    return f'{rule.file}, {rule.place}: "{rule.words}"'


def _told(what: str, text: str) -> list[str]:
    label = f"{_INDENT}{what + ':':<6}"
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_on_hyphens=False,
    )
