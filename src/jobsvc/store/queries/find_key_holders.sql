-- Finds the jobs that hold unique keys; a free key has no row.
-- $1 queue, $2 unique_key
SELECT asked.queue, asked.unique_key, held.job_id
FROM unnest($1::text[], $2::text[]) AS asked (queue, unique_key)
CROSS JOIN LATERAL (
    SELECT job_id FROM held_key
    WHERE queue = asked.queue AND unique_key = asked.unique_key OFFSET 0
) AS held
