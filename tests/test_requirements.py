"""What is installed stands in requirements/ with its hashes, and fits pyproject.toml."""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parent.parent
_PYPROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_PROJECT = _PYPROJECT["project"]
_EXTRAS: dict[str, list[str]] = _PROJECT["optional-dependencies"]
_FOLDER = _ROOT / "requirements"
#: Each file that is installed from, and the extras that it must satisfy.
_FILES = {
    "development.txt": ("all", "news", "dev"),
    "image.txt": ("all", "news"),
    "server.txt": ("auth", "cli", "otlp", "otlp-http", "prometheus", "server", "uvloop"),
    "bench.txt": ("bench",),
    "build.txt": (),
    "sbom.txt": (),
}
_ENTRY = re.compile(
    r"^([a-zA-Z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\\n((?:    --hash=.*\n?)*)", re.M
)


def _entries(name: str) -> dict[str, str]:
    """The version of each package in a file."""
    found = {}
    for package, version, _, hashes in _ENTRY.findall((_FOLDER / name).read_text()):
        assert "--hash=sha256:" in hashes, f"{package} has no hash"
        found[canonicalize_name(package)] = version
    return found


def _asked(extras: Iterable[str]) -> list[Requirement]:
    """What the package and its extras ask for; an extra that names others means those too."""
    asked: list[Requirement] = []
    texts = list(_PROJECT["dependencies"])
    for extra in extras:
        texts += _EXTRAS[extra]
    for requirement in map(Requirement, texts):
        if requirement.name == "jobsvc":
            asked += _asked(requirement.extras)
        else:
            asked.append(requirement)
    return asked


@pytest.mark.parametrize("name", _FILES)
def test_every_line_is_an_entry_with_hashes(name: str) -> None:
    text = (_FOLDER / name).read_text()
    assert _ENTRY.sub("", text).strip() == ""


@pytest.mark.parametrize(("name", "extras"), [(n, e) for n, e in _FILES.items() if e])
def test_what_pyproject_asks_for_is_there(name: str, extras: tuple[str, ...]) -> None:
    entries = _entries(name)
    wrong = [
        str(asked)
        for asked in _asked(extras)
        if not asked.specifier.contains(entries.get(canonicalize_name(asked.name), "0"))
    ]
    assert not wrong, "run `make lock`"


@pytest.mark.parametrize("name", sorted(set(_FILES) - {"development.txt"}))
def test_a_package_has_one_version(name: str) -> None:
    development = _entries("development.txt")
    entries = _entries(name)
    assert {p: v for p, v in entries.items() if development.get(p, v) != v} == {}


def test_the_build_has_what_pyproject_names() -> None:
    assert (_FOLDER / "build.in").read_text().split() == _PYPROJECT["build-system"]["requires"]
