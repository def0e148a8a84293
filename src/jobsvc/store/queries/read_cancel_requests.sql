-- Finds those of these leases whose job is to be cancelled.
-- $1 job_id, $2 lease_id
SELECT found.*
FROM unnest($1::uuid[], $2::bigint[]) AS asked (job_id, lease_id)
CROSS JOIN LATERAL (
    SELECT job_id, lease_id, cancel_reason,
        extract(epoch FROM until - clock_timestamp())::float8 AS expires_in
    FROM jobsvc.lease
    WHERE job_id = asked.job_id AND lease_id = asked.lease_id AND cancel_request_time IS NOT NULL
    OFFSET 0
) AS found
