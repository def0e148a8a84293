"""Imports the modules that a command line names, and explains when one cannot be imported."""

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class ModuleUnusable(Exception):
    """A module cannot be imported. The text names it and the cause, in one line."""


def load(names: Sequence[str]) -> list[ModuleType]:
    """Imports modules by dotted name, or by the path of a .py file.

    The current directory comes first in the search, as with `python -m`. A file
    is imported as a part of the package or the project that holds it, so its
    relative imports work; its own folder is searched too, as with `python FILE`.

    Raises:
        ModuleUnusable: a module is not there, or fails on import.
    """
    _search_first(Path.cwd())
    return [_load_file(Path(name)) if name.endswith(".py") else _load_name(name) for name in names]


def _search_first(folder: Path) -> None:
    # Always first: an installed module may have the name of one of the project.
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


def _load_name(name: str) -> ModuleType:
    if os.sep in name:
        raise ModuleUnusable(f"{name} is neither the name of a module nor the path of a .py file")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ModuleUnusable(_explain(name, error)) from error


def _load_file(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise ModuleUnusable(f"there is no file {path}")
    root = _root(path)
    _search_first(root)
    _search_first(path.parent)
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    try:
        return importlib.import_module(name) if _leads_to(name, path) else _load_alone(path)
    except (Exception, SystemExit) as error:
        raise ModuleUnusable(_explain(str(path), error)) from error


def _root(path: Path) -> Path:
    """The folder that the dotted name of a file begins in.

    Above its package; for a file in no package the current directory, or the
    file's own folder if the current directory does not hold it.
    """
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    here = Path.cwd().resolve()
    return here if folder == path.parent and path.is_relative_to(here) else folder


def _leads_to(name: str, path: Path) -> bool:
    """Whether `name` is imported from `path`. Imports the packages that hold it."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if not _is_within(name, error):
            raise
        return False
    except ValueError:  # of `__main__`, which was not found by name
        return False
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path


def _load_alone(path: Path) -> ModuleType:
    # Another module may have the name, one of the standard library for instance.
    name = str(path) if path.stem in sys.modules else path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModuleUnusable(f"{path} is not a Python module")
    module = importlib.util.module_from_spec(spec)
    # Type hints and dataclasses look their module up here.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _is_within(name: str, error: ModuleNotFoundError) -> bool:
    """Whether the error is about `name` itself or a package that holds it."""
    return f"{name}.".startswith(f"{error.name}.")


def _explain(name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and _is_within(name, error):
        return f"there is no module {name}: {_found_instead(error.name)}"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    theirs = [f for f in frames if f.filename != __file__]
    where = f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""
    return f"cannot import {name}: {text}{where}"


def _found_instead(missing: str) -> str:
    parent, _, child = missing.rpartition(".")
    if not parent:
        return f"nothing named {missing} in {Path.cwd()}, nor installed"
    package = sys.modules.get(parent)
    folders = list(getattr(package, "__path__", ()))
    if not folders:
        return f"{parent} ({getattr(package, '__file__', 'built in')}) is not a package"
    return f"the package {parent} is in {', '.join(folders)} and has no {child}"
