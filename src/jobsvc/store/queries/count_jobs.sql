-- How many jobs of each queue wait and run, and since when the first ready one has waited.
-- $1 queue (NULL for all)
SELECT
    queue.name, queue.paused,
    coalesce(w.scheduled, 0) AS scheduled, coalesce(w.ready, 0) AS ready,
    coalesce(l.processing, 0) AS processing,
    extract(epoch FROM clock_timestamp() - w.oldest)::float8 AS oldest_seconds
FROM queue
LEFT JOIN (
    SELECT queue,
        count(*) FILTER (WHERE run_at > statement_timestamp()) AS scheduled,
        count(*) FILTER (WHERE run_at <= statement_timestamp()) AS ready,
        min(run_at) FILTER (WHERE run_at <= statement_timestamp()) AS oldest
    FROM waiting WHERE $1::text[] IS NULL OR queue = ANY ($1) GROUP BY queue
) w ON w.queue = queue.name
LEFT JOIN (
    SELECT queue, count(*) AS processing
    FROM lease WHERE $1::text[] IS NULL OR queue = ANY ($1) GROUP BY queue
) l ON l.queue = queue.name
WHERE $1::text[] IS NULL OR queue.name = ANY ($1)
ORDER BY queue.name
