-- Counts the jobs of some queues that ended, by state (3 COMPLETED, 4 FAILED, 5 CANCELLED).
-- $1 queues
SELECT result.state, count(*) AS jobs
FROM jobsvc.result JOIN jobsvc.job ON job.id = result.job_id
WHERE job.queue = ANY ($1::text[])
GROUP BY result.state
