"""`jobsvc upkeep`, as an operator runs it."""

import pytest

from tests.e2e.support.command import run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch

pytestmark = pytest.mark.xdist_group("e2e")


def test_duties_are_listed() -> None:
    done = run("upkeep", "list")
    assert done.returncode == 0
    assert "prune                  by hand  removes ended jobs" in done.stdout
    assert "rescue                 servers  ends leases" in done.stdout


async def test_duty_is_run_by_hand(stage: Stage) -> None:
    await fetch(
        stage.dsn,
        "INSERT INTO payload_schema (digest, definition, unused_since)"
        " VALUES ('d', '{}', now() - interval '2 days')",
    )
    tried = run("upkeep", "run", "prune-schemas", "--dry-run", JOBSVC_DSN=stage.dsn)
    assert tried.stdout == "prune-schemas would handle 1 in its first batch\n"
    done = run("upkeep", "run", "prune-schemas", JOBSVC_DSN=stage.dsn)
    assert (done.returncode, done.stdout) == (0, "prune-schemas: 1\n")
    assert await fetch(stage.dsn, "SELECT FROM payload_schema") == []


@pytest.mark.parametrize(("duty", "said"), [("rescue", "not run by hand"), ("x", "no such duty")])
def test_duty_that_is_none_is_refused(duty: str, said: str) -> None:
    done = run("upkeep", "run", duty, JOBSVC_DSN="postgresql://127.0.0.1:1/nothing")
    assert done.returncode == 2
    assert said in done.stderr


def test_upkeep_without_a_database_says_so() -> None:
    done = run("upkeep", "run", "prune", JOBSVC_DSN="postgresql://127.0.0.1:1/nothing")
    assert done.returncode == 75
    assert run("upkeep", "run", "prune").returncode == 78
