-- What was recorded under leases that are not current any more.
-- $1 job_id, $2 lease_id
SELECT asked.job_id, asked.lease_id, result.state, result.output,
    coalesce(result.error, attempt.error) AS error,
    coalesce(waiting.job_id, lease.job_id) IS NOT NULL AS released
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
LEFT JOIN result ON result.job_id = asked.job_id AND result.lease_id = asked.lease_id
LEFT JOIN attempt ON attempt.job_id = asked.job_id AND attempt.lease_id = asked.lease_id
LEFT JOIN waiting ON waiting.job_id = asked.job_id AND waiting.released_lease = asked.lease_id
LEFT JOIN lease ON lease.job_id = asked.job_id AND lease.released_lease = asked.lease_id
WHERE result.job_id IS NOT NULL OR attempt.job_id IS NOT NULL OR waiting.job_id IS NOT NULL
    OR lease.job_id IS NOT NULL
