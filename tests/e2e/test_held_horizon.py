"""An open transaction keeps dead rows in place: the log says whose it is, and nothing spins."""

import time

from tests.e2e.support.stage import Stage
from tests.support.looking import look_at

#: One transaction, so that no duty of the server sees these leases.
_CHURN = """
    BEGIN;
    INSERT INTO lease (
        job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
        worker_id, start_time, duration, until, deadline)
    SELECT gen_random_uuid(), n, 'q', 0, 1, 0, 2, now(), false, 'w', now(), 30, now(), now()
    FROM generate_series(1, 25000) AS n;
    DELETE FROM lease;
    COMMIT
"""


async def test_held_horizon_is_told_with_its_holder_and_vacuums_become_rare(stage: Stage) -> None:
    server = await stage.serve()
    report, sql = await look_at(stage.dsn), await look_at(stage.dsn)
    try:
        await report.execute("SET application_name = 'monthly report'")
        await report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lease")
        # Closed, so that the dead rows have been counted.
        churn = await look_at(stage.dsn)
        await churn.execute(f"ALTER TABLE lease SET (autovacuum_enabled = off); {_CHURN}")
        await churn.close()
        began = time.monotonic()
        told = f"the transaction of pid {report.get_server_pid()} (monthly report, role "
        await server.says(30, told)
        seconds = time.monotonic() - began
        runs = await sql.fetchval("SELECT pg_stat_get_vacuum_count('lease'::regclass)")
        # A second apart, then two, then four: unbounded, they were 190 a second.
        assert 2 <= runs <= 2 + seconds / 2
        assert server.stderr.count(told) == 1
        assert "upkeep.loop: vacuum" not in server.stderr, "it is run again at once"

        await report.execute("ROLLBACK")
        await server.says(10, "dead rows can be removed again, after ")
        assert await sql.fetchval("SELECT pg_stat_get_dead_tuples('lease'::regclass)") == 0
    finally:
        await report.close()
        await sql.close()
