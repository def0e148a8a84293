-- Removes ended jobs whose retention is over.
-- $1 most rows
WITH due AS MATERIALIZED (
    SELECT job_id FROM result
    WHERE purge_time <= statement_timestamp()
    ORDER BY purge_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
gone AS (DELETE FROM result USING due WHERE result.job_id = due.job_id RETURNING result.job_id),
past AS (DELETE FROM attempt USING gone WHERE attempt.job_id = gone.job_id)
DELETE FROM job USING gone WHERE job.id = gone.job_id
RETURNING job.id
