-- Finds the leases that a worker holds, with their ages in seconds.
-- $1 worker_id
SELECT terms.*, extract(epoch FROM clock_timestamp() - own.start_time)::float8 AS age
FROM (SELECT job_id, start_time FROM jobsvc.lease WHERE worker_id = $1 OFFSET 0) AS own
CROSS JOIN LATERAL (SELECT * FROM jobsvc.lease_terms WHERE job_id = own.job_id OFFSET 0) AS terms
