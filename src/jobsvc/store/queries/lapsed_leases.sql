-- Finds leases whose worker has stopped extending, or whose attempt has run out of time, oldest
-- first.
-- $1 limit
SELECT terms.*, lapsed.start_time, lapsed.duration, clock_timestamp() AS read_time,
    extract(epoch FROM clock_timestamp() - lapsed.start_time)::float8 AS age
FROM (
    SELECT job_id, start_time, duration FROM jobsvc.lease
    WHERE least(until, deadline) <= statement_timestamp()
    ORDER BY until LIMIT $1
) AS lapsed
CROSS JOIN LATERAL (SELECT * FROM jobsvc.lease_terms WHERE job_id = lapsed.job_id OFFSET 0) AS terms
ORDER BY until
