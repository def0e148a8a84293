-- How many jobs were created since a time and have ended, and the seconds from the first creation
-- to the last end.
-- $1 since
SELECT
    count(*) AS jobs,
    coalesce(extract(epoch FROM max(end_time) - min(create_time)), 0)::float8 AS seconds
FROM jobsvc.job JOIN jobsvc.result ON result.job_id = job.id
WHERE create_time >= $1
