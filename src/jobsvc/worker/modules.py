"""Finds the modules that a command line names."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class ModuleUnusable(Exception):
    """A module cannot be imported. The text says which and why, in one line."""


def load(names: Sequence[str]) -> list[ModuleType]:
    """Imports modules by dotted name, or by the path of a .py file.

    The current directory comes first in the search, as with `python -m`; of a
    file it is the file's own.

    Raises:
        ModuleUnusable: one is not there, or fails on import.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    return [_load_file(Path(name)) if name.endswith(".py") else _load_name(name) for name in names]


def _load_name(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ModuleUnusable(_explain(name, error)) from error


def _load_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise ModuleUnusable(f"there is no file {path}")
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModuleUnusable(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    # Type hints and dataclasses look their module up here.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ModuleUnusable(_explain(str(path), error)) from error
    return module


def _explain(name: str, error: BaseException) -> str:
    missing = isinstance(error, ModuleNotFoundError) and error.name is not None
    if missing and (name == error.name or name.startswith(f"{error.name}.")):  # type: ignore[attr-defined]  # `missing` says it is one
        return f"there is no module {name}"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames[1:] else ""
    return f"cannot import {name}: {text}{where}"
