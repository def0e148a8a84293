"""The wheel contains the package `jobsvc`, whole, and nothing else."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.packaging.support.project import ROOT, build_sdist, build_wheel

pytestmark = pytest.mark.xdist_group("packaging")


def contents(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_has_one_top_level_package(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert sorted(top.partition("-")[0] for top in tops) == ["jobsvc", "jobsvc"]
    assert [top for top in tops if not top.endswith(".dist-info")] == ["jobsvc"]


def test_wheel_has_every_file_of_the_package_and_none_of_an_earlier_build(wheel: Path) -> None:
    source = ROOT / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in (source / "jobsvc").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    # Not only Python: stubs, statements, pages of the demo, and the mark that types are here.
    assert {Path(name).suffix for name in files} >= {".py", ".pyi", ".sql", ".html", ".typed"}
    assert {name for name in contents(wheel) if name.startswith("jobsvc/")} == files


def test_sdist_builds_the_same_wheel(project: Path, wheel: Path, tmp_path: Path) -> None:
    sdist = build_sdist(project, tmp_path / "sdist")
    assert contents(build_wheel(sdist, tmp_path / "wheel")) == contents(wheel)
