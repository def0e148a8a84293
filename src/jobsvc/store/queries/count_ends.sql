-- Counts by queue how the latest jobs ended.
-- $1 most jobs, $2 age in seconds of the oldest end
SELECT job.queue, count(*) AS ended, count(*) FILTER (WHERE latest.state = 4) AS failed
FROM (
    SELECT job_id, state FROM jobsvc.result
    WHERE end_time > statement_timestamp() - $2::float8 * interval '1 second'
    ORDER BY end_time DESC LIMIT $1
) AS latest
CROSS JOIN LATERAL (SELECT queue FROM jobsvc.job WHERE id = latest.job_id OFFSET 0) AS job
GROUP BY job.queue
ORDER BY job.queue
