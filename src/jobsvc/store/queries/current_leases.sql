-- Finds those of these leases that are current.
-- $1 job_id, $2 lease_id
SELECT found.job_id, found.lease_id
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
CROSS JOIN LATERAL (
    SELECT job_id, lease_id FROM jobsvc.lease
    WHERE job_id = asked.job_id AND lease_id = asked.lease_id OFFSET 0
) AS found
