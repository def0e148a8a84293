"""The plugin, in pytest runs of other projects."""

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from jobsvc.testing.background import background
from jobsvc.testing.postgres import default_cache, running_postgres, template_key
from jobsvc.testing.server import running_server

ROOT = Path(__file__).parents[2]
HEAVY = ("grpc", "asyncpg", "msgspec", "google", "opentelemetry", "jobsvc.app", "jobsvc.client")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, *command],
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_loading_imports_nothing_that_takes_time() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import jobsvc.testing.plugin;"
        f"print([m for m in {HEAVY} if m in sys.modules], len(set(sys.modules) - before))"
    )
    done = run("-c", code)
    assert done.stderr == ""
    heavy, _, count = done.stdout.strip().rpartition(" ")
    assert heavy == "[]"
    assert int(count) <= 5, "jobsvc, jobsvc.testing, the plugin"


def test_installed_plugin_is_loaded_and_may_be_named_as_well(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [(name, module)] = project["entry-points"]["pytest11"].items()
    installed = tmp_path / "site" / "installed-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_it.py").write_text("def test_it(request, jobsvc_settings): pass\n")
    options = ("-m", "pytest", "-q", "-W", "error", "-p", "no:asyncio", f"--rootdir={tests}")
    path = os.pathsep.join([str(installed.parent), *filter(None, sys.path)])
    for naming in ("", 'pytest_plugins = ["jobsvc.testing.plugin"]\n'):
        (tests / "conftest.py").write_text(naming)
        done = run(*options, str(tests), PYTHONPATH=path)
        assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_setting_of_the_server_is_a_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "from jobsvc.client import PayloadTooLarge\n"
        "@pytest.fixture\n"
        "def jobsvc_settings(): return {'max_payload_bytes': 10}\n"
        "def test_it(jobsvc_server):\n"
        "    with jobsvc_server.client() as client:\n"
        "        client.create_queue('q')\n"
        "        with pytest.raises(PayloadTooLarge): client.create('q', {'a': 'x' * 100})\n"
    )
    options = ("-q", "-p", "jobsvc.testing.plugin", f"--rootdir={tmp_path}")
    done = run("-m", "pytest", *options, str(tmp_path))
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_data_directory_is_made_once_and_copied(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with background() as loop:
        seconds = []
        for _ in range(2):
            began = time.monotonic()
            with (
                loop.entered(running_postgres(cache)) as dsn,
                running_server(loop, dsn) as server,
            ):
                seconds.append(time.monotonic() - began)
                assert server.target
            [template] = cache.iterdir()
            made = (template / "pgdata" / "PG_VERSION").stat().st_mtime_ns
    assert template.name == template_key()
    assert made == (template / "pgdata" / "PG_VERSION").stat().st_mtime_ns
    # The first time, an initdb and all migrations.
    assert seconds[1] < seconds[0]


def test_several_processes_may_begin_at_once(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_it(jobsvc_server, n):\n"
        "    with jobsvc_server.client() as client: client.create_queue('q')\n"
    )
    options = ("-q", "-n2", "-p", "jobsvc.testing.plugin", f"--rootdir={tmp_path}")
    done = run("-m", "pytest", *options, str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert len(list((tmp_path / "cache" / "jobsvc").iterdir())) == 1


def test_cache_is_that_of_the_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "jobsvc"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache" / "jobsvc"


def test_names_of_the_package_are_there() -> None:
    code = (
        "import jobsvc.testing as t; print([n for n in t.__all__ if not hasattr(t, n)],"
        " sorted(t.__all__) == sorted(n for names in t._NAMES.values() for n in names))"
    )
    assert run("-c", code).stdout == "[] True\n"
