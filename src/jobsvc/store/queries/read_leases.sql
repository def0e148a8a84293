-- The terms of leases that are current.
-- $1 job_id, $2 lease_id
SELECT terms.*
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
JOIN lease_terms AS terms ON terms.job_id = asked.job_id AND terms.lease_id = asked.lease_id
