"""Guards of what must hold after a restore or a logical copy."""

from collections.abc import Mapping

from tests.faults.support.guard import Guard, Patch

RESTORE_GUARDS: Mapping[str, Guard] = {
    "restored-leases": Guard(
        "no lease of before a restore is current after it",
        (
            Patch(
                "jobsvc/store/queries/release_all_leases.sql",
                "WHERE cancel_request_time IS NULL",
                "WHERE false AND cancel_request_time IS NULL",
            ),
        ),
        tests=(
            "faults/test_restore.py::test_report_under_a_lease_of_before_is_refused",
            "faults/test_restore.py"
            "::test_job_whose_end_is_lost_runs_again_on_the_attempt_that_it_had",
        ),
    ),
    "restored-versions": Guard(
        "no version of a job or a queue comes twice over a restore",
        (
            Patch(
                "jobsvc/store/restore_check.py",
                'await connection.fetch(sql["raise_versions"], STEP)',
                "pass",
            ),
        ),
        tests=("faults/test_restore.py::test_versions_are_above_all_that_anybody_has_seen",),
    ),
    "restored-schemas": Guard(
        "no id of a schema comes twice over a restore",
        (
            Patch(
                "jobsvc/store/restore_check.py",
                'await connection.fetch(sql["move_schema_ids"], schema, found.next_schema_id)',
                "pass",
            ),
        ),
        tests=(
            "faults/test_restore.py"
            "::test_what_was_deleted_or_declared_in_the_lost_time_is_as_before",
        ),
    ),
    "copied-schemas": Guard(
        "an id of a schema that is taken costs nobody an error",
        (
            Patch(
                "jobsvc/store/queries/save_schema.sql",
                "ON CONFLICT DO NOTHING",
                "ON CONFLICT (digest) DO NOTHING",
            ),
        ),
        tests=(
            "store/test_restore_check.py"
            "::test_sequence_that_a_copy_left_behind_costs_nobody_an_error",
        ),
    ),
}
