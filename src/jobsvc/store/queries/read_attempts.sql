-- Reads the ten newest attempts of a job, up to a given one, after which it waited again, newest
-- first.
-- $1 id, $2 number of the last attempt to read
SELECT attempt, worker_id, start_time, end_time, error
FROM jobsvc.attempt WHERE job_id = $1 AND attempt <= $2 ORDER BY attempt DESC LIMIT 10
