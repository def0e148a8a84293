-- Finds the leases that a worker holds.
-- $1 worker_id
SELECT terms.*
FROM (SELECT job_id FROM jobsvc.lease WHERE worker_id = $1 OFFSET 0) AS own
CROSS JOIN LATERAL (SELECT * FROM jobsvc.lease_terms WHERE job_id = own.job_id OFFSET 0) AS terms
