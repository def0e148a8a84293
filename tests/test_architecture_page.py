"""docs/architecture.md names places in the code; every place that it names exists."""

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "architecture.md"
#: `file`, or `file:name` with a function, a class or `Class.method`.
_NAMED = re.compile(r"`([\w./-]+\.(?:py|sql|proto))(?::([\w.]+))?`")
#: Where a path may begin; most begin at the package.
_FOLDERS = ("src/jobsvc", ".")


def _named_places() -> list[tuple[str, str]]:
    return sorted(set(_NAMED.findall(_PAGE.read_text(encoding="utf-8"))))


def _definitions(file: Path) -> set[str]:
    found: set[str] = set()

    def walk(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + node.name)
            elif isinstance(node, ast.ClassDef):
                found.add(prefix + node.name)
                walk(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(prefix + t.id for t in targets if isinstance(t, ast.Name))

    walk(ast.parse(file.read_text(encoding="utf-8")).body, "")
    return found


def test_page_is_a_walk_with_places() -> None:
    assert len(_named_places()) > 60


@pytest.mark.parametrize(("path", "name"), _named_places())
def test_place_exists(path: str, name: str) -> None:
    files = [file for folder in _FOLDERS if (file := _ROOT / folder / path).is_file()]
    assert files, f"there is no {path}"
    if name:
        assert any(name in _definitions(file) for file in files), f"{path} has no {name}"
