-- Removes the oldest minutes of queues whose time is over, and returns how many.
-- $1 limit, $2 seconds that they are kept
WITH gone AS (
    DELETE FROM jobsvc.queue_minute WHERE (queue, minute) IN (
        SELECT queue, minute FROM jobsvc.queue_minute
        WHERE minute < statement_timestamp() - $2::float8 * interval '1 second'
        ORDER BY minute LIMIT $1
        FOR UPDATE SKIP LOCKED)
    RETURNING 1
)
SELECT count(*) FROM gone
