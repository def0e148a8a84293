"""Which lines a process logs, at which level, in both formats."""

import json

import pytest

from jobsvc.exit_code import ExitCode
from tests.tracing.support.process import run

_SPEAK = """
import logging
for name in ("jobsvc.x", "asyncio", "grpc", "grpc._cython.cygrpc", "opentelemetry.sdk", "hpack",
             "asyncpg.pool", "theirs"):
    for level in ("debug", "info", "warning", "error"):
        getattr(logging.getLogger(name), level)("%s", level)
"""
_SERVER = "from jobsvc.cli.startup import log_to_stderr; log_to_stderr()" + _SPEAK
_WORKER = "from jobsvc.tracing.stderr_log import log_to_stderr; log_to_stderr()" + _SPEAK
_LIBRARY = {"warning", "error"}


def levels(program: str, **environment: str) -> dict[str, set[str]]:
    """The levels that each logger has in the log."""
    done = run(program, JOBSVC_LOG_FORMAT="json", **environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, set[str]] = {}
    for line in map(json.loads, done.stderr.splitlines()):
        found.setdefault(line["logger"], set()).add(line["message"])
    return found


@pytest.mark.parametrize("program", [_SERVER, _WORKER])
def test_debug_is_ours_alone(program: str) -> None:
    found = levels(program, JOBSVC_LOG_LEVEL="debug")
    assert found.pop("jobsvc.x") == {"debug", "info", "warning", "error"}
    assert found.pop("asyncpg.pool") == {"error"}
    theirs = found.pop("theirs")
    # What the processors of a worker log is meant for its operator.
    assert theirs == ({"info"} | _LIBRARY if program is _WORKER else _LIBRARY)
    hpack = found.pop("hpack")
    assert hpack == theirs
    assert found == dict.fromkeys(
        ("asyncio", "grpc", "grpc._cython.cygrpc", "opentelemetry.sdk"), _LIBRARY
    )


@pytest.mark.parametrize("program", [_SERVER, _WORKER])
def test_level_is_that_of_everybody_if_it_is_higher(program: str) -> None:
    found = levels(program, JOBSVC_LOG_LEVEL="ERROR")
    assert all(said == {"error"} for said in found.values())
    assert len(found) == 8


def test_info_is_the_level_by_default() -> None:
    assert levels(_SERVER)["jobsvc.x"] == {"info", "warning", "error"}


def test_level_and_format_that_do_not_exist_are_named() -> None:
    work = "from jobsvc.worker.command import main; raise SystemExit(main(['json']))"
    for program, name in ((_SERVER, "jobsvc"), (work, "jobsvc worker")):
        done = run(program, JOBSVC_LOG_LEVEL="loud")
        levels = "DEBUG, INFO, WARNING, ERROR, CRITICAL"
        complaint = f"{name}: JOBSVC_LOG_LEVEL must be one of {levels}, not 'LOUD'"
        assert (done.returncode, done.stderr.splitlines()[0]) == (ExitCode.CONFIGURATION, complaint)


def test_program_with_a_log_of_its_own_keeps_it() -> None:
    own = "import logging; logging.basicConfig(format='own %(name)s %(message)s', level='DEBUG'); "
    for environment, ours in (({}, ["debug", "info"]), ({"JOBSVC_LOG_LEVEL": "INFO"}, ["info"])):
        said = run(own + _WORKER, **environment).stderr.splitlines()
        assert "own grpc debug" in said
        assert [s for s in said if s.startswith("own jobsvc.x ")][: len(ours)] == [
            f"own jobsvc.x {level}" for level in ours
        ]
        assert all(line.startswith("own ") for line in said)
