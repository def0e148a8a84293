-- Removes bulk operations whose retention has passed, and returns how many.
-- $1 limit
WITH due AS MATERIALIZED (
    SELECT id FROM jobsvc.bulk_operation WHERE purge_time <= statement_timestamp()
    ORDER BY purge_time LIMIT $1 FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM jobsvc.bulk_operation WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING id
)
SELECT count(*) FROM gone
