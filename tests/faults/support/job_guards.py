"""The guards of jobs: their leases, outcomes, workers and callers."""

from collections.abc import Mapping

from tests.faults.support.guard import Guard, Patch
from tests.faults.support.schedule import Kind

_FENCE = """        AND lease_id = ((SELECT leases FROM asked)::bigint[])[
            width_bucket(job_id, (SELECT jobs FROM asked)::uuid[])]
"""
_CONFLICT = """    ON CONFLICT (owner_service, request_id) WHERE request_id IS NOT NULL DO NOTHING
"""

JOB_GUARDS: Mapping[str, Guard] = {
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
        tests=(
            "store/test_create.py::test_request_id_makes_one_job",
            "api/test_request_id.py::test_one_of_100_equal_ids_at_once_wins",
            "e2e/test_killed_server.py"
            "::test_create_that_was_committed_and_never_answered_makes_one_job",
        ),
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
            "e2e/test_bad_processors.py"
            "::test_poison_job_fails_after_its_attempts_while_others_finish",
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
            "e2e/test_stepped_database_clock.py::test_stepped_clock_of_the_database_costs_no_job",
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
    "poll": Guard(
        "a change of which no hint came is found by a poll",
        (
            Patch(
                "jobsvc/jobs/followers.py",
                "if version and is_news(version, latest, latest is None):",
                "if False:",
            ),
        ),
        tests=(
            "e2e/test_two_replicas.py"
            "::test_without_listening_everything_is_late_by_polls_and_not_lost",
        ),
    ),
    "in-doubt": Guard(
        "leases of a claim whose commit was not answered go back",
        (
            Patch(
                "jobsvc/dispatch/in_doubt_claims.py",
                "await self._redelivery.redeliver_now(list(lost))",
                "pass",
            ),
        ),
        tests=("dispatch/test_in_doubt_claims.py::test_leases_that_nobody_heard_of_go_back",),
    ),
    "on-record": Guard(
        "an outcome that is on record is confirmed again",
        (
            Patch(
                "jobsvc/jobs/settle.py",
                "recorded = await self._store.lease_ends.were_recorded(outcomes)",
                "recorded = [False] * len(outcomes)",
            ),
        ),
        tests=("api/test_repeated_outcomes.py::test_same_outcome_again_is_confirmed_again",),
    ),
    "known-lease": Guard(
        "a worker begins what it was sent twice once",
        (
            Patch(
                "jobsvc/worker/lease_book.py",
                "if lease_id in self._running or lease_id in self._waiting"
                " or self._has_outcome(lease_id):",
                "if False:",
            ),
        ),
        tests=("worker/test_session.py::test_job_delivered_twice_runs_once",),
    ),
    "window": Guard(
        "a worker gets no more jobs than its window has room for",
        (Patch("jobsvc/dispatch/planner.py", "subscription.reserve(queue, count)", "pass"),),
        tests=("dispatch/test_planner.py::test_closed_window_takes_nothing",),
    ),
    "deaf": Guard(
        "a worker that acknowledges nothing loses what it was sent",
        (
            Patch(
                "jobsvc/dispatch/dispatcher.py",
                "if is_silent and worker.error is None:",
                "if False:",
            ),
        ),
        tests=(
            "api/test_work_reconnect.py::test_unacknowledged_job_comes_again_and_the_stream_ends",
        ),
    ),
    "drain": Guard(
        "a server that leaves refuses calls, ends its streams and lets its workers finish",
        (
            Patch(
                "jobsvc/api/admission.py",
                "if self.draining and not method.served_while_draining:",
                "if False:",
            ),
            Patch("jobsvc/replica.py", "        self._hub.drain()\n", ""),
            Patch("jobsvc/replica.py", "        self._dispatcher.drain()\n", ""),
        ),
        tests=("e2e/test_drain.py::test_server_drains_under_load_and_nothing_is_lost",),
    ),
    "row-time": Guard(
        "a lease runs from the moment of the write, by the database's clock",
        (
            Patch(
                "jobsvc/store/queries/extend_leases.sql",
                "clock_timestamp() + coalesce(asked.duration",
                "now() + coalesce(asked.duration",
            ),
        ),
        tests=("store/test_statements.py::test_statement_takes_the_clock_of_the_moment",),
    ),
    "left-batch": Guard(
        "a caller that leaves takes nobody's answer along",
        (
            Patch(
                "jobsvc/store/batch.py",
                "                    if not done.done():\n",
                "                    if True:\n",
            ),
        ),
        tests=("store/test_batch.py::test_cancelled_caller_leaves_the_batch_unharmed",),
    ),
    "heartbeat": Guard(
        "a worker extends its leases while its processors are busy",
        (
            Patch(
                "jobsvc/worker/work_protocol.py",
                "self.outbox.extend(LeaseExtension(lease_id=i) for i in self.book.extend())",
                "pass",
            ),
        ),
        tests=("worker/test_process.py::test_heartbeats_go_on_while_a_processor_is_busy",),
    ),
    "no-worker": Guard(
        "a job for which there is no worker says so",
        (
            Patch(
                "jobsvc/domain/wait_reason.py",
                "        return WaitReason.NO_WORKER\n",
                "        pass\n",
            ),
        ),
        tests=("api/test_wait_reason.py::test_job_without_worker_says_so",),
    ),
    "keepalive": Guard(
        "a connection on which nothing comes back is given up",
        (
            Patch(
                "jobsvc/client/channel.py",
                '("grpc.keepalive_time_ms", 10_000)',
                '("grpc.keepalive_time_ms", 10_000_000)',
            ),
        ),
        tests=("client/test_dead_connection.py::test_dead_connection_is_given_up",),
    ),
}
