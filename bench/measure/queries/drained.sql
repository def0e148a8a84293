-- How many jobs have ended, and the seconds from the first start to the last end, of those that
-- ended first.
-- $1 max jobs
SELECT
    count(*) AS jobs,
    coalesce(extract(epoch FROM max(end_time) - min(start_time)), 0)::float8 AS seconds
FROM (SELECT start_time, end_time FROM jobsvc.result ORDER BY end_time LIMIT $1) AS ended
