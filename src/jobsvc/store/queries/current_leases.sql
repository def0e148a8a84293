-- Those of these leases that are current.
-- $1 job_id, $2 lease_id
SELECT lease.job_id, lease.lease_id
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
JOIN lease ON lease.job_id = asked.job_id AND lease.lease_id = asked.lease_id
