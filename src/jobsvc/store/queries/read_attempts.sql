-- Reads the ten newest used attempts of a job before its last one, newest first.
-- $1 id
SELECT attempt, worker_id, start_time, end_time, error
FROM attempt WHERE job_id = $1 ORDER BY attempt DESC LIMIT 10
