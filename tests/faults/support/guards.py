"""Guards that can be taken out of a copy of the source, to show that the checker notices."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.support.schedule import Kind

SOURCE = Path(__file__).parents[3] / "src"


@dataclass(frozen=True)
class Patch:
    """A text that stands once in a file of the source, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Guard:
    """What keeps a promise: patches that take it out, the faults that it is for, the invariants
    that break without it, and the tests that fail."""

    promise: str
    patches: tuple[Patch, ...]
    kinds: frozenset[Kind]
    breaks: frozenset[str]
    tests: tuple[str, ...]
    #: A statement for the database, once the tables are there.
    sql: str = ""


_FENCE = """        AND lease_id = ((SELECT leases FROM asked)::bigint[])[
            width_bucket(job_id, (SELECT jobs FROM asked)::uuid[])]
"""
_CONFLICT = """    ON CONFLICT (owner_service, request_id) WHERE request_id IS NOT NULL DO NOTHING
"""

GUARDS: Mapping[str, Guard] = {
    "fence": Guard(
        "an outcome counts under the current lease only",
        (Patch("jobsvc/store/queries/finish_jobs.sql", _FENCE, ""),),
        frozenset({Kind.FREEZE_WORKER}),
        frozenset({"K3"}),
        ("store/test_finish.py::test_stale_worker_cannot_end_the_lease_of_its_successor",),
    ),
    "request-id": Guard(
        "a repeated creation makes no second job",
        (Patch("jobsvc/store/queries/create_jobs.sql", _CONFLICT, ""),),
        frozenset({Kind.EAT_ANSWERS, Kind.KILL_SERVER}),
        frozenset({"K2"}),
        ("store/test_create.py::test_request_id_makes_one_job",),
        sql="DROP INDEX job_request",
    ),
    "rescue": Guard(
        "the job of a worker that died is taken from it",
        (
            Patch(
                "jobsvc/store/queries/lapsed_leases.sql",
                "WHERE least(until, deadline) <= statement_timestamp()",
                "WHERE false",
            ),
        ),
        frozenset({Kind.KILL_WORKER}),
        frozenset({"K1"}),
        ("e2e/test_killed_worker.py::test_job_of_a_killed_worker_runs_elsewhere",),
    ),
    "attempts": Guard(
        "a job has no more attempts than it may",
        (
            Patch(
                "jobsvc/domain/outcome.py",
                "if not retryable or terms.attempt >= terms.retry.max_attempts:",
                "if not retryable:",
            ),
        ),
        frozenset({Kind.POISON_WORKER}),
        frozenset({"K1", "K7"}),
        ("e2e/test_killed_worker.py::test_worker_killed_on_the_last_attempt_leaves_a_failed_job",),
    ),
    "held-leases": Guard(
        "a worker that connects again keeps what it holds",
        (
            Patch(
                "jobsvc/api/resume_leases.py",
                "asked = list(dict.fromkeys(lease_ids))",
                "asked: list[str] = []",
            ),
        ),
        frozenset(),
        frozenset(),
        ("api/test_work_reconnect.py::test_states_of_held_leases_are_told",),
    ),
}


def copy_without(guard: str, folder: Path) -> Path:
    """Copies the source into a folder, takes the guard out of it, and returns where it is.

    Raises:
        ValueError: the source does not hold what a patch takes out, once.
    """
    copy = folder / "src"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for patch in GUARDS[guard].patches:
        file = copy / patch.file
        text = file.read_text(encoding="utf-8")
        if text.count(patch.old) != 1:
            raise ValueError(f"{patch.file} holds the guard {guard} {text.count(patch.old)} times")
        file.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
    return copy


@contextmanager
def removed(guard: str) -> Iterator[None]:
    """Processes that are started in the block run without a guard; with all if it is empty."""
    if not guard:
        yield
        return
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="jobsvc-without-") as folder:
        os.environ["PYTHONPATH"] = str(copy_without(guard, Path(folder)))
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
