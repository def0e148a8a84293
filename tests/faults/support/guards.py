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
    """What keeps a promise: patches that take it out, and the tests that fail then. `breaks` are
    the invariants that break without it under faults of these `kinds`; none, if only tests see it.
    """

    promise: str
    patches: tuple[Patch, ...]
    tests: tuple[str, ...]
    kinds: frozenset[Kind] = frozenset()
    breaks: frozenset[str] = frozenset()
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
        kinds=frozenset({Kind.FREEZE_WORKER}),
        breaks=frozenset({"K3"}),
        tests=("store/test_finish.py::test_stale_worker_cannot_end_the_lease_of_its_successor",),
    ),
    "request-id": Guard(
        "a repeated creation makes no second job",
        (Patch("jobsvc/store/queries/create_jobs.sql", _CONFLICT, ""),),
        kinds=frozenset({Kind.EAT_ANSWERS, Kind.KILL_SERVER}),
        breaks=frozenset({"K2"}),
        tests=("store/test_create.py::test_request_id_makes_one_job",),
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
        kinds=frozenset({Kind.KILL_WORKER}),
        breaks=frozenset({"K1"}),
        tests=("e2e/test_killed_worker.py::test_job_of_a_killed_worker_runs_elsewhere",),
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
        kinds=frozenset({Kind.POISON_WORKER}),
        breaks=frozenset({"K1", "K7"}),
        tests=(
            "e2e/test_killed_worker.py::test_worker_killed_on_the_last_attempt_leaves_a_failed_job",
        ),
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
        tests=("api/test_work_reconnect.py::test_states_of_held_leases_are_told",),
    ),
    "excuse": Guard(
        "silence counts only while somebody could listen",
        (Patch("jobsvc/upkeep/rescue.py", "if _is_excused(lapsed, outages):", "if False:"),),
        tests=(
            "api/test_outages.py"
            "::test_worker_may_report_what_it_finished_while_the_database_was_away",
            "api/test_outages.py::test_worker_may_report_what_could_not_be_written_for_a_while",
            "e2e/test_outages.py::test_work_that_ends_while_the_server_is_away_counts",
            "e2e/test_outages.py::test_work_that_ends_while_the_database_is_away_counts",
            "e2e/test_outages.py::test_machine_that_stands_still_costs_its_jobs_nothing",
            "e2e/test_locked_tables.py::test_locked_tables_are_waited_for_and_cost_no_attempt",
        ),
    ),
    "unsent": Guard(
        "what was claimed for a broken stream goes back at once",
        (
            Patch(
                "jobsvc/dispatch/claim_loop.py",
                "self._redelivery.schedule(unreached, unsent=True)",
                "pass",
            ),
        ),
        tests=(
            "api/test_cut_claims.py"
            "::test_job_that_was_claimed_for_a_broken_stream_is_back_at_once_and_unattempted",
        ),
    ),
    "one-claim": Guard(
        "a queue has one claim under way at a time",
        (
            Patch(
                "jobsvc/dispatch/planner.py",
                "if q not in self._under_way and self._has_capacity(q)",
                "if self._has_capacity(q)",
            ),
            Patch(
                "jobsvc/dispatch/planner.py",
                "del self._under_way[claim.queue]",
                "self._under_way.pop(claim.queue, None)",
            ),
        ),
        tests=(
            "api/test_many_reconnects.py::test_200_workers_that_connect_at_once_share_their_claims",
        ),
    ),
    "bounded-wait": Guard(
        "nobody waits for a connection for ever",
        (
            Patch(
                "jobsvc/store/database.py",
                "self._pool.acquire(timeout=self._acquire_seconds)",
                "self._pool.acquire()",
            ),
        ),
        tests=("store/test_database.py::test_exhausted_pool_is_waited_for_a_bounded_time",),
    ),
}


def without(guard: str) -> dict[str, str]:
    """The files of the source without a guard, by their paths.

    Raises:
        ValueError: the source does not hold what a patch takes out, once.
    """
    texts: dict[str, str] = {}
    for patch in GUARDS[guard].patches:
        text = texts.get(patch.file) or (SOURCE / patch.file).read_text(encoding="utf-8")
        if text.count(patch.old) != 1:
            raise ValueError(f"{patch.file} holds the guard {guard} {text.count(patch.old)} times")
        texts[patch.file] = text.replace(patch.old, patch.new)
    return texts


@contextmanager
def removed(guard: str) -> Iterator[Path]:
    """A copy of the source without a guard, with which processes run that are started in the block.
    With an empty name it is the source itself."""
    if not guard:
        yield SOURCE
        return
    before = os.environ.get("PYTHONPATH")
    with tempfile.TemporaryDirectory(prefix="jobsvc-without-") as folder:
        copy = Path(folder) / "src"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for file, text in without(guard).items():
            (copy / file).write_text(text, encoding="utf-8")
        os.environ["PYTHONPATH"] = str(copy)
        try:
            yield copy
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before
