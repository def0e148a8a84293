"""The duty that vacuums: at its pace, and as soon as there is something to remove."""

import asyncpg

from jobsvc.store.store import Store
from jobsvc.upkeep.vacuum import TableVacuum
from tests.support.looking import look_at

_CHURN = """
    ALTER TABLE lease SET (autovacuum_enabled = off);
    BEGIN;
    INSERT INTO lease (
        job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
        worker_id, start_time, duration, until, deadline)
    SELECT gen_random_uuid(), n, 'q', 0, 1, 0, 2, now(), false, 'w', now(), 30, now(), now()
    FROM generate_series(1, 25000) AS n;
    DELETE FROM lease;
    COMMIT
"""
_RUNS = "SELECT pg_stat_get_vacuum_count('lease'::regclass)"


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_held_rows_are_vacuumed_less_and_less_until_the_holder_goes(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lease")
    churn = await look_at(dsn)
    await churn.execute(_CHURN)
    await churn.close()  # So that the dead rows have been counted.
    watch = await look_at(dsn)
    try:
        clock, runs = Clock(), []
        upkeep = TableVacuum(store, clock)
        for _ in range(61):
            # None: the loop does not run it again at once.
            assert await upkeep.run_once() is None
            runs.append(await watch.fetchval(_RUNS))
            clock.now += 1
        assert [runs.index(count) for count in range(1, runs[-1] + 1)] == [0, 1, 5, 13, 29, 59]

        await sql.execute("ROLLBACK")
        await upkeep.run_once()
        assert await watch.fetchval(_RUNS) == runs[-1] + 1
        assert await store.upkeep.dirty_tables() == []
    finally:
        await watch.close()
