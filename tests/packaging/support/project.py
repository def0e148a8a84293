"""A copy of this project to build from, so that a build writes nothing into the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore")
_FOLDERS = ("src", "proto")


def copy_project(folder: Path) -> Path:
    """Copies everything that a build reads to `folder`, and returns it."""
    folder.mkdir()
    for name in _FILES:
        shutil.copy2(ROOT / name, folder)
    for name in _FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def build_wheel(source: Path, folder: Path) -> Path:
    """Builds the wheel of a source tree or an sdist into `folder`, with the installed backend."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder]
    subprocess.run([*pip, *options, source], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def build_sdist(source: Path, folder: Path) -> Path:
    """Builds the sdist of a source tree into `folder`."""
    hatchling = [sys.executable, "-m", "hatchling", "build", "--target", "sdist"]
    subprocess.run([*hatchling, "--directory", folder], cwd=source, check=True)
    (sdist,) = folder.glob("*.tar.gz")
    return sdist
