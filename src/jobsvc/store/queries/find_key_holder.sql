-- The job that holds a unique key.
-- $1 queue, $2 unique_key
SELECT job_id FROM held_key WHERE queue = $1 AND unique_key = $2
