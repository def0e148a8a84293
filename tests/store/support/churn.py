"""Dead rows, as jobs leave them."""

from tests.support.looking import look_at


async def churn(dsn: str, jobs: int) -> None:
    """Leaves dead rows in `lease`; the connection is closed, so that they have been counted."""
    connection = await look_at(dsn)
    try:
        await connection.execute("ALTER TABLE lease SET (autovacuum_enabled = off)")
        await connection.execute(
            """
            INSERT INTO lease (
                job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
                worker_id, start_time, duration, until, deadline)
            SELECT gen_random_uuid(), n, 'q', 0, 1, 0, 2, now(), false, 'w', now(), 30, now(), now()
            FROM generate_series(1, $1::integer) AS n
            """,
            jobs,
        )
        await connection.execute("DELETE FROM lease")
    finally:
        await connection.close()
