"""The guards around the database: its outages, its servers, its tables as a whole."""

from collections.abc import Mapping

from tests.faults.support.guard import Guard, Patch

DATABASE_GUARDS: Mapping[str, Guard] = {
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
    "away": Guard(
        "a database that is away is said to be, and is no defect",
        (
            Patch(
                "jobsvc/store/database.py",
                "    return Answer.AWAY\n",
                "    return Answer.DEFECT\n",
            ),
        ),
        tests=(
            "api/test_trouble.py"
            "::test_database_away_is_said_by_every_call_and_over_when_it_is_back",
        ),
    ),
    "lost-session": Guard(
        "a session that was ended is an outage, not a defect",
        (
            Patch("jobsvc/store/sqlstate.py", '    "08": Answer.AWAY,', ""),
            Patch("jobsvc/store/sqlstate.py", '    "57": Answer.AWAY,', ""),
            Patch(
                "jobsvc/store/database.py",
                "    return Answer.AWAY\n",
                "    return Answer.DEFECT\n",
            ),
        ),
        tests=(
            "store/test_group_commit.py::test_terminated_sessions_are_unavailable_and_come_back",
        ),
    ),
    "restart-postgres": Guard(
        "the embedded PostgreSQL is started again",
        (
            Patch(
                "jobsvc/embedded/server.py",
                "            await self._restart()\n",
                "            await asyncio.get_running_loop().create_future()\n",
            ),
        ),
        tests=("e2e/test_chaos.py::test_all_jobs_end_and_none_twice_whatever_is_killed",),
    ),
    "no-room": Guard(
        "a full disk is an outage, not a defect",
        (Patch("jobsvc/store/sqlstate.py", '    "53": Answer.REFUSED,', ""),),
        tests=("e2e/test_full_disk.py::test_full_disk_loses_nothing",),
    ),
    "statement-limit": Guard(
        "the database ends a statement that takes too long",
        (
            Patch(
                "jobsvc/store/sessions.py",
                '"statement_timeout": f"{milliseconds}"',
                '"statement_timeout": "0"',
            ),
        ),
        tests=("store/test_database.py::test_statement_that_takes_too_long_is_unavailable",),
    ),
    "vacuum-pace": Guard(
        "futile vacuums become rare",
        (
            Patch(
                "jobsvc/domain/dead_rows.py",
                "self._futile + 1 if 2 * dead_after > dead_before else 0",
                "0",
            ),
        ),
        tests=(
            "e2e/test_held_horizon.py"
            "::test_held_horizon_is_told_with_its_holder_and_vacuums_become_rare",
        ),
    ),
    "lock-order": Guard(
        "statements lock leases in the order of their jobs",
        (
            Patch(
                "jobsvc/store/lock_order.py",
                'in_order = sorted(items, key=attrgetter("id"))',
                "in_order = list(items)",
            ),
        ),
        tests=(
            "store/test_finish.py::test_every_statement_locks_leases_in_the_order_of_their_jobs",
        ),
    ),
    "orphans": Guard(
        "the doctor names rows without their job",
        (
            Patch(
                "jobsvc/store/queries/find_inconsistencies.sql",
                "    WHERE NOT EXISTS (SELECT FROM jobsvc.job WHERE id = placed.job_id)\n",
                "    WHERE false\n",
            ),
        ),
        tests=(
            "e2e/test_doctor.py::test_doctor_names_rows_that_were_changed_by_hand",
            "store/test_inconsistencies.py::test_what_was_changed_by_hand_is_named",
        ),
    ),
    "pooler": Guard(
        "a pooler that lends sessions by transaction is found out",
        (
            Patch(
                "jobsvc/store/pooler.py",
                "                return Pooling.TRANSACTION\n",
                "                return Pooling.SESSION\n",
            ),
        ),
        tests=("store/test_pooler.py::test_each_mode_is_found_out",),
    ),
    "standby": Guard(
        "what is shown is on the synchronous standby",
        (
            Patch(
                "jobsvc/store/queries/read_jobs.sql",
                "pg_logical_emit_message(true, '', '') IS NOT NULL",
                "true",
            ),
        ),
        tests=(
            "jobs/test_synchronous_standby.py"
            "::test_holder_of_a_key_is_named_only_when_the_standby_has_it",
            "jobs/test_synchronous_standby.py::test_status_is_shown_only_when_the_standby_has_it",
        ),
    ),
    "standby-outcome": Guard(
        "a repeated outcome is confirmed when the synchronous standby has it",
        (
            Patch(
                "jobsvc/store/queries/find_outcomes.sql",
                "pg_logical_emit_message(true, '', '') IS NOT NULL",
                "true",
            ),
        ),
        tests=(
            "jobs/test_synchronous_standby.py"
            "::test_repeated_outcome_is_confirmed_only_when_the_standby_has_it",
        ),
    ),
    "back-in-time": Guard(
        "a version that goes back is news",
        (
            Patch(
                "jobsvc/domain/status_news.py",
                "return ended or version != seen",
                "return version > seen",
            ),
        ),
        tests=(
            "e2e/test_failover.py"
            "::test_followers_learn_the_end_after_a_failover_to_a_standby_that_lagged",
        ),
    ),
    "old-primary": Guard(
        "connections to a server below the timeline that was seen are refused",
        (
            Patch(
                "jobsvc/store/timelines.py",
                "if seen is not None and server.timeline < seen.timeline:",
                "if False:",
            ),
        ),
        tests=(
            "store/test_two_primaries.py"
            "::test_first_connections_of_a_start_are_refused_by_an_old_primary",
        ),
    ),
    "leave-old-primary": Guard(
        "what goes on at an old primary is not committed",
        (
            Patch(
                "jobsvc/store/timelines.py",
                "            connection.terminate()\n",
                "            pass\n",
            ),
        ),
        tests=(
            "store/test_two_primaries.py"
            "::test_transaction_under_way_at_the_old_primary_is_not_committed",
        ),
    ),
    "note-of-timeline": Guard(
        "an old primary that was told is not used by those who know it alone",
        (
            Patch(
                "jobsvc/store/timelines.py",
                "elif server.timeline < server.seen_elsewhere:",
                "elif False:",
            ),
        ),
        tests=(
            "store/test_two_primaries.py::test_migrations_are_refused_by_an_old_primary_that_knows",
        ),
    ),
    "look-at-hosts": Guard(
        "a promotion that no connection has met is found",
        (
            Patch(
                "jobsvc/store/servers.py",
                "            await asyncio.sleep(LOOK_SECONDS)\n            await self._look()\n",
                "            await asyncio.sleep(LOOK_SECONDS)\n",
            ),
        ),
        tests=("e2e/test_failover.py::test_promotion_that_no_connection_has_met_is_found",),
    ),
}
