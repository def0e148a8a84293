"""A large table of jobs, filled at once."""

import asyncpg

_FILL = """
    INSERT INTO job (
        id, queue, create_time, priority, max_attempts, initial_backoff, max_backoff,
        backoff_multiplier, attempt_timeout, owner_service, owner_user, traceparent,
        tracestate, input)
    SELECT md5(n::text)::uuid, 'q' || n % $1, now(), 0, 1, 1, 1, 1, 1, '', '', '', '',
        repeat(md5(n::text), 35)
    FROM generate_series(1, 20000) AS n
"""


async def fill_jobs(sql: asyncpg.Connection, queues: int) -> None:
    """Makes 20,000 jobs, spread over queues; six have a page, so that there are 3,300 pages."""
    await sql.execute(_FILL, queues)
