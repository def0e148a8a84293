"""Whether a file has a function of a name."""

import ast
from functools import cache
from pathlib import Path


@cache
def _functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def defines(file: Path, function: str) -> bool:
    """Whether the file exists and has this function; any, if it is empty."""
    return file.is_file() and (not function or function in _functions(file))
