-- Adds what a replica has counted in a minute to what others have, and returns the database's time.
-- Whatever has been added under the same number is not added again. Replicas do it at the same
-- time, so all take the rows in one order.
-- $1 number of this write, $2 seconds since the middle of the minute, $3 queue, $4 created,
-- $5 completed, $6 cancelled, $7 retried, $8 failed, $9 wait, $10 run (arrays as text)
WITH added AS (
    INSERT INTO jobsvc.queue_minute AS kept (
        queue, minute, created, completed, cancelled, retried, failed, wait, run, writes)
    SELECT queue,
        date_trunc('minute', statement_timestamp() - $2::float8 * interval '1 second', 'UTC'),
        created, completed, cancelled, retried, failed::integer[], wait::integer[],
        run::integer[], ARRAY[$1::bigint]
    FROM unnest($3::text[], $4::integer[], $5::integer[], $6::integer[], $7::integer[],
                $8::text[], $9::text[], $10::text[])
        AS counted (queue, created, completed, cancelled, retried, failed, wait, run)
    ORDER BY queue
    ON CONFLICT (queue, minute) DO UPDATE SET
        created = kept.created + excluded.created,
        completed = kept.completed + excluded.completed,
        cancelled = kept.cancelled + excluded.cancelled,
        retried = kept.retried + excluded.retried,
        failed = ARRAY(
            SELECT coalesce(a, 0) + coalesce(b, 0)
            FROM unnest(kept.failed, excluded.failed) WITH ORDINALITY AS pair (a, b, n)
            ORDER BY n),
        wait = ARRAY(
            SELECT coalesce(a, 0) + coalesce(b, 0)
            FROM unnest(kept.wait, excluded.wait) WITH ORDINALITY AS pair (a, b, n)
            ORDER BY n),
        run = ARRAY(
            SELECT coalesce(a, 0) + coalesce(b, 0)
            FROM unnest(kept.run, excluded.run) WITH ORDINALITY AS pair (a, b, n)
            ORDER BY n),
        writes = kept.writes || excluded.writes
    WHERE NOT kept.writes && excluded.writes
)
SELECT statement_timestamp() AS now
