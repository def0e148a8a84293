"""The code that measured processes run."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import chosen_systems
from bench.measure.checkout import THIS, Checkout
from bench.measure.postgres import Postgres
from bench.measure.scraped import reading_metrics
from bench.options import read_options
from bench.plan import measurements


def _old_checkout(folder: Path) -> Checkout:
    (folder / "src" / "jobsvc").mkdir(parents=True)
    (folder / "src" / "jobsvc" / "__init__.py").touch()
    (folder / "bench").mkdir()
    (folder / "bench" / "noop.py").touch()
    return Checkout(folder)


def test_this_checkout_has_all_that_is_started_from_it() -> None:
    assert THIS.worker_module == "jobsvc.worker"
    assert THIS.processor("noop").is_file()
    assert THIS.processor("timed").is_file()


def test_an_old_checkout_runs_its_own_processor_in_its_own_worker(tmp_path: Path) -> None:
    old = _old_checkout(tmp_path)
    assert old.worker_module == "workers"
    assert old.processor("noop") == tmp_path / "bench" / "noop.py"
    assert old.processor("cycles") == THIS.processor("cycles")


def test_a_process_imports_the_code_of_its_checkout_and_not_the_installed_one(
    tmp_path: Path,
) -> None:
    other = _old_checkout(tmp_path)
    command = [sys.executable, "-c", "import jobsvc; print(jobsvc.__file__)"]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **other.environment}
    )
    assert Path(found.stdout.strip()).is_relative_to(tmp_path)


def test_beside_measures_jobsvc_alone_unless_other_systems_are_named(tmp_path: Path) -> None:
    beside = ["--beside", str(_old_checkout(tmp_path).folder)]
    assert read_options(beside).systems == ("jobsvc", "jobsvc x2")
    assert read_options([*beside, "--systems", "echo"]).systems == ("echo",)
    assert read_options([]).systems == ()
    assert read_options(beside).label == f" @ {tmp_path.name}"


def test_metrics_are_measured_beside_none_in_every_round(tmp_path: Path) -> None:
    options = read_options(["--metrics", "--only", "drain"])
    systems = chosen_systems(Postgres("postgresql://", tmp_path), options)
    order = [m.system.name for m in measurements(systems, options.scenarios, 2)]
    without = "jobsvc without metrics"
    assert order == ["jobsvc", without, without, "jobsvc"]


def test_metrics_are_read_of_a_server_that_has_them() -> None:
    async def read_nothing() -> None:
        async with reading_metrics() as environment:
            assert environment["JOBSVC_HTTP_LISTEN"].startswith("127.0.0.1:")

    with pytest.raises(RuntimeError, match="no metrics"):
        asyncio.run(read_nothing())


def test_the_two_checkouts_are_neighbours_in_every_round(tmp_path: Path) -> None:
    options = read_options(["--beside", str(_old_checkout(tmp_path).folder)])
    systems = chosen_systems(Postgres("postgresql://", tmp_path), options)
    order = [m.system.name.partition(" @ ") for m in measurements(systems, ["create-32"], 2)]
    assert [(name, bool(at)) for name, at, _ in order] == [
        *(("jobsvc", False), ("jobsvc", True), ("jobsvc x2", False), ("jobsvc x2", True)),
        *(("jobsvc x2", True), ("jobsvc x2", False), ("jobsvc", True), ("jobsvc", False)),
    ]


def test_beside_refuses_a_folder_that_is_no_checkout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        read_options(["--beside", str(tmp_path)])
    assert "is no checkout" in capsys.readouterr().err


def test_processes_are_neighbours_of_one_process_and_exclude_another_checkout(
    tmp_path: Path,
) -> None:
    options = read_options(["--processes", "2"])
    systems = chosen_systems(Postgres("postgresql://", tmp_path), options)
    assert [system.name for system in systems] == ["jobsvc", "jobsvc in 2 processes"]
    with pytest.raises(SystemExit):
        read_options(["--processes", "2", "--beside", str(_old_checkout(tmp_path).folder)])


def test_secured_measures_jobsvc_beside_itself_without_tls_and_tokens(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = read_options(["--secured"])
    assert options.systems == ("echo", "jobsvc")
    assert options.scenarios == ("create-32", "batch-create", "drain")
    assert options.label == " without TLS and tokens"
    with pytest.raises(SystemExit):
        read_options(["--secured", "--beside", str(_old_checkout(tmp_path).folder)])
    assert "not allowed with" in capsys.readouterr().err
