-- Reads the terms of those of these leases that are current, and their ages in seconds.
-- $1 job_id, $2 lease_id
SELECT terms.*, extract(epoch FROM clock_timestamp() - begun.start_time)::float8 AS age
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
CROSS JOIN LATERAL (
    SELECT * FROM jobsvc.lease_terms
    WHERE job_id = asked.job_id AND lease_id = asked.lease_id OFFSET 0
) AS terms
CROSS JOIN LATERAL (
    SELECT start_time FROM jobsvc.lease WHERE lease.job_id = asked.job_id OFFSET 0
) AS begun
