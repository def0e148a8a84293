"""The schema knows the same states as the domain."""

import re

import asyncpg

from jobsvc.domain.job import ENDED, TRANSITIONS, JobState

#: The table that a job in a state is in.
TABLE = {
    JobState.PENDING: "waiting",
    JobState.PROCESSING: "lease",
    JobState.COMPLETED: "result",
    JobState.FAILED: "result",
    JobState.CANCELLED: "result",
}


async def test_results_hold_exactly_the_states_that_have_ended(sql: asyncpg.Connection) -> None:
    checks = await sql.fetch(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint"
        " WHERE conrelid = 'result'::regclass AND contype = 'c'"
    )
    (check,) = [row["text"] for row in checks if "state" in row["text"]]
    assert {int(number) for number in re.findall(r"\d+", check)} == ENDED


async def test_every_state_has_a_table_that_holds_a_job_once(sql: asyncpg.Connection) -> None:
    assert set(TABLE) == set(TRANSITIONS)
    for table in set(TABLE.values()):
        key = await sql.fetchval(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = $1::text::regclass AND contype = 'p'",
            table,
        )
        assert key == "PRIMARY KEY (job_id)"
