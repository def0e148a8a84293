-- Whether a job no longer waits.
-- $1 id
SELECT NOT EXISTS (SELECT FROM jobsvc.waiting WHERE job_id = $1)
