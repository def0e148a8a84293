"""The table of points: every rule stands where it says, and every line fits."""

import re
from pathlib import Path
from typing import Any

import pytest

from jobsvc.conformance.client_points import CLIENT_POINTS
from jobsvc.conformance.point import Point
from jobsvc.conformance.report import NAME_WIDTH, STATES_WIDTH
from jobsvc.conformance.worker_points import WORKER_POINTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "conformance.md"
# Any: points about workers and about clients are played on stages of their own.
ALL: list[Point[Any]] = [*WORKER_POINTS, *CLIENT_POINTS]
BY_NAME = pytest.mark.parametrize("point", ALL, ids=lambda point: point.name)


def flat(text: str) -> str:
    """A text as one line, the comment signs of a .proto left out."""
    return " ".join(re.sub(r"^\s*// ?", "", text, flags=re.MULTILINE).split())


def comment_of(text: str, path: str) -> str:
    """The comment before `Item` of a .proto, or `Item.part`; empty if there is none."""
    name, _, part = path.partition(".")
    if part:
        begin = re.search(rf"^(?:message|service|enum) {name} {{$", text, re.MULTILINE)
        assert begin, f"there is no {name}"
        name, text = part, text[begin.end() : text.index("\n}", begin.end())]
    kinds = r"(?:service|message|enum|rpc|optional|repeated|oneof)"
    item = re.compile(rf"^\s*(?:{kinds}\s+)*(?:[\w.<>, ]+\s+)?{name}\b\s*[({{=]")
    comment: list[str] = []
    for line in text.splitlines():
        if line.strip().startswith("//"):
            comment.append(line)
        elif item.match(line) and comment:
            return "\n".join(comment)
        else:
            comment = []
    return ""


@BY_NAME
def test_rule_stands_where_the_point_says(point: Point[Any]) -> None:
    rule = point.rule
    text = (ROOT / rule.file).read_text(encoding="utf-8")
    assert flat(rule.words) in flat(text)
    if not rule.file.endswith(".proto"):
        assert rule.place in text
        return
    path, _, number = rule.place.partition(", ")
    comment = flat(comment_of(text, path))
    assert rule.words in comment
    if number:
        steps = re.split(r" (?=\d\. )", comment)
        assert any(s.startswith(f"{number}. ") and rule.words in s for s in steps)


@BY_NAME
def test_line_of_a_point_fits(point: Point[Any]) -> None:
    assert len(point.name) <= NAME_WIDTH
    assert len(point.states) <= STATES_WIDTH


def test_names_are_unique() -> None:
    for points in (WORKER_POINTS, CLIENT_POINTS):
        names = [point.name for point in points]
        assert len(set(names)) == len(names)


def test_page_has_every_point() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    wanted = [(p.name, p.states, f"{Path(p.rule.file).name}, {p.rule.place}") for p in ALL]
    assert rows == wanted
