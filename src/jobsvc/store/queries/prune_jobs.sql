-- Removes ended jobs whose retention has passed.
-- $1 limit
WITH due AS MATERIALIZED (
    SELECT job_id FROM result
    WHERE purge_time <= statement_timestamp()
    ORDER BY purge_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM result WHERE job_id = ANY (ARRAY(SELECT job_id FROM due)) RETURNING job_id
),
past AS (DELETE FROM attempt WHERE job_id = ANY (ARRAY(SELECT job_id FROM gone)))
DELETE FROM job WHERE id = ANY (ARRAY(SELECT job_id FROM gone))
RETURNING id
