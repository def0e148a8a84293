-- Finds the outcomes that were recorded under leases that are no longer current. Where commits wait
-- for a standby, this one does too: what was found is there after a failover.
-- $1 job_id, $2 lease_id
SELECT asked.job_id, asked.lease_id, result.state, result.output,
    coalesce(result.error, attempt.error) AS error,
    coalesce(waiting.job_id, lease.job_id) IS NOT NULL AS released
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
LEFT JOIN LATERAL (
    SELECT * FROM jobsvc.result WHERE job_id = asked.job_id AND lease_id = asked.lease_id OFFSET 0
) AS result ON true
LEFT JOIN LATERAL (
    SELECT * FROM jobsvc.attempt WHERE job_id = asked.job_id AND lease_id = asked.lease_id OFFSET 0
) AS attempt ON true
LEFT JOIN LATERAL (
    SELECT job_id FROM jobsvc.waiting
    WHERE job_id = asked.job_id AND released_lease = asked.lease_id OFFSET 0
) AS waiting ON true
LEFT JOIN LATERAL (
    SELECT job_id FROM jobsvc.lease
    WHERE job_id = asked.job_id AND released_lease = asked.lease_id OFFSET 0
) AS lease ON true
WHERE (result.job_id IS NOT NULL OR attempt.job_id IS NOT NULL OR waiting.job_id IS NOT NULL
    OR lease.job_id IS NOT NULL)
    AND CASE
        WHEN current_setting('synchronous_standby_names') = ''
            OR current_setting('synchronous_commit') IN ('local', 'off')
            OR pg_is_in_recovery() THEN true
        -- With WAL of its own, its commit waits for all that it has seen.
        ELSE pg_logical_emit_message(true, '', '') IS NOT NULL
    END
