"""The wheel, and environments with it; made once for all tests of this folder."""

from pathlib import Path

import pytest

from tests.packaging.support.environment import Environment
from tests.packaging.support.project import build_wheel, copy_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project, in which an earlier build has left files behind."""
    folder = copy_project(tmp_path_factory.mktemp("source") / "jobsvc")
    for name in ("jobsvc/stale.py", "workers/__init__.py", "workers/stale.py"):
        stale = folder / "build" / "lib" / name
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.touch()
    return folder


@pytest.fixture(scope="session")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project."""
    return build_wheel(project, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install jobsvc`: what callers and workers need."""
    return Environment(tmp_path_factory.mktemp("bare"), wheel)


@pytest.fixture(scope="session")
def with_cli(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install 'jobsvc[cli]'`."""
    return Environment(tmp_path_factory.mktemp("cli"), wheel, "cli")


@pytest.fixture(scope="session")
def with_server(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install 'jobsvc[server,otlp]'`: all but the embedded PostgreSQL."""
    return Environment(tmp_path_factory.mktemp("server"), wheel, "server", "otlp")
