"""How the tests stand to each other and to the source."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
#: Our own packages, as they are named in imports.
OURS = ("jobsvc", "workers", "bench", "tests")

#: Folders that stand for no folder of the source.
OTHER_FOLDERS = {
    "alerts",  # deploy/prometheus
    "e2e",  # real processes, killed for real
    "faults",  # random faults under load, and what each known fault is tested by
    "packaging",  # what a wheel holds and needs
    "support",  # what several folders share
}
TOP_MODULES = {
    "conftest.py",
    "test_architecture_page.py",
    "test_call_status.py",
    "test_contract.py",
    "test_deploy.py",
    "test_event_log.py",
    "test_exit_codes.py",
    "test_http_server.py",
    "test_layers.py",
    "test_plain_text.py",
    "test_requirements.py",
    "test_sd_notify.py",
    "test_settings.py",
    "test_structure.py",
    "test_words_page.py",
}


def modules() -> list[Path]:
    """Every module below tests/, relative to it."""
    return sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py"))


def found(search: Callable[[str], Iterator[str]]) -> list[str]:
    """Returns the findings of a search in the text of each module."""
    return [
        f"{path}: {what}"
        for path in modules()
        for what in search((TESTS / path).read_text(encoding="utf-8"))
    ]


def imported(node: ast.AST) -> list[str]:
    """The modules that a statement imports, and what it imports from them, by their full names."""
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=str(module), names=names):
            return [module, *(f"{module}.{name.name}" for name in names)]
    return []


def imports_of_tests(text: str) -> Iterator[str]:
    """Imports of test modules and conftests."""
    for node in ast.walk(ast.parse(text)):
        for name in imported(node):
            top, *parts = name.split(".")
            if top == "tests" and any(p == "conftest" or p.startswith("test_") for p in parts):
                yield name


def names_of_ours(tree: ast.AST) -> set[str]:
    """The names under which a module knows parts of our own code."""
    names = set(OURS)
    for node in ast.walk(tree):
        if imported(node) and imported(node)[0].split(".")[0] in OURS:
            assert isinstance(node, ast.Import | ast.ImportFrom)
            names |= {(name.asname or name.name).split(".")[0] for name in node.names}
    return names


def patched(node: ast.AST) -> ast.expr | None:
    """The object of which `monkeypatch.setattr`, or the like, replaces a part."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="setattr" | "delattr" | "setitem" | "delitem"),
            args=[target, *_],
        ):
            return target
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[target, *_]):
            return target
    return None


def first_name(node: ast.expr) -> str:
    """The `a` of `a.b.c`, also where that is a text."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Constant):
        return str(node.value).split(".")[0]
    return node.id if isinstance(node, ast.Name) else ""


def patches_of_ours(text: str) -> Iterator[str]:
    """Replaced parts of our own code, and imports of what makes mocks."""
    tree = ast.parse(text)
    ours = names_of_ours(tree)
    for node in ast.walk(tree):
        target = patched(node)
        if target is not None and first_name(target) in ours:
            yield ast.unparse(node)
        yield from (name for name in imported(node) if name.split(".")[-1] == "mock")


def silent_sleeps(text: str) -> Iterator[str]:
    """Sleeps without a reason on their line; `sleep(0)` only lets others go on."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(args=[ast.Constant(value=0)]):
                continue
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")):
                line = lines[node.lineno - 1]
                if "  # " not in line:
                    yield line.strip()


def test_shared_code_stands_in_support_folders() -> None:
    assert found(imports_of_tests) == []
    assert [path for path in modules() if "support" in path.parts and "test_" in path.name] == []


def test_nothing_of_our_own_is_patched() -> None:
    assert found(patches_of_ours) == []


def test_every_sleep_says_why_it_is_no_hope() -> None:
    assert found(silent_sleeps) == []


def test_folders_are_those_of_the_source() -> None:
    parents = (ROOT, ROOT / "src" / "jobsvc", ROOT / "src" / "workers")
    sources = {path.name for parent in parents for path in parent.iterdir() if path.is_dir()}
    folders = {path.parts[0] for path in modules() if len(path.parts) > 1}
    assert folders - sources - OTHER_FOLDERS == set()
    assert {str(path) for path in modules() if len(path.parts) == 1} == TOP_MODULES
    inner = {path.parts[1:-1] for path in modules() if path.parts[0] != "support"}
    assert inner == {(), ("support",)}
