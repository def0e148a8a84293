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


def test_call_is_in_the_files_that_the_recipe_names() -> None:
    """Counted for DeleteJob: whatever names it, its use case, its statement or its request. What is
    generated, and the flows, follow."""
    recipe = _PAGE.read_text().partition("**A call**")[2].partition("\n7. ")[0]
    words = re.compile(
        r"\bDeleteJob\b|\bDeletion\b|\"delete_jobs\"|\bdelete_request\b|\bjob_control\.delete\b|client\.delete\("
    )
    generated = re.compile(r"_pb2|/sync_\w+\.py$|/testing/|/frozen/")
    folders = [_ROOT / "src" / "jobsvc", _ROOT / "proto" / "jobsvc", _ROOT / "docs" / "reference"]
    found = {
        path.relative_to(_ROOT).as_posix()
        for folder in folders
        for path in folder.rglob("*.*")
        if path.suffix in {".py", ".sql", ".proto", ".md"}
        and not generated.search(path.relative_to(_ROOT).as_posix())
        and (words.search(path.read_text()) or path.stem == "delete_jobs")
    }
    named = {
        file.relative_to(_ROOT).as_posix()
        for path in re.findall(r"`([\w./-]+\.(?:py|sql|proto|md))(?::[\w.]+)?`", recipe)
        for folder in _FOLDERS
        if (file := _ROOT / folder / path).is_file()
    }
    assert found <= named
    # Beside it, for calls about queues, and for an error of its own.
    others = {"async_bulk_calls.py", "async_queue_calls.py", "queues.py", "workers.py", "status.py"}
    assert {Path(path).name for path in named - found} == others
    assert f"in {len(found)} files of steps 1 to 6" in recipe
