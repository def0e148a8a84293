-- Finds queues whose first retry would wait longer than any of their retries may.
-- $1, $2 the first and the longest wait where the queue says nothing, $3 most queues
SELECT
    name AS queue, coalesce(initial_backoff, $1::float8) AS initial_seconds,
    coalesce(max_backoff, $2::float8) AS max_seconds
FROM jobsvc.queue
WHERE
    (initial_backoff IS NOT NULL OR max_backoff IS NOT NULL)
    AND coalesce(initial_backoff, $1) > coalesce(max_backoff, $2)
ORDER BY name
LIMIT $3
