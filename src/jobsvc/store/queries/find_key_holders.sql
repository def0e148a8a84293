-- Finds the jobs that hold unique keys; a free key has no row. A holder is overdue if it waits and
-- has expired or not started in time.
-- $1 queue, $2 unique_key
SELECT asked.queue, asked.unique_key, held.job_id,
    coalesce(waiting.fails_at <= statement_timestamp(), false) AS overdue
FROM unnest($1::text[], $2::text[]) AS asked (queue, unique_key)
CROSS JOIN LATERAL (
    SELECT job_id FROM jobsvc.held_key
    WHERE queue = asked.queue AND unique_key = asked.unique_key OFFSET 0
) AS held
LEFT JOIN LATERAL (
    SELECT least(expire_time, start_deadline) AS fails_at FROM jobsvc.waiting
    WHERE job_id = held.job_id OFFSET 0
) AS waiting ON true
