-- Extends leases, never past their deadline, and records progress (NULL percent keeps the last).
-- $1 job_id, in order, each once, $2 lease_id, $3 duration (NULL for the lease's own), $4 percent,
-- $5 message, $6 worker_id (NULL for any)
UPDATE jobsvc.lease
SET (until, confirmed, progress_percent, progress_message, version, update_time) = (
    SELECT
        least(
            clock_timestamp() + coalesce(asked.duration, lease.duration) * interval '1 second',
            lease.deadline),
        true,
        coalesce(asked.percent, lease.progress_percent),
        CASE WHEN asked.percent IS NULL THEN lease.progress_message ELSE asked.message END,
        CASE WHEN asked.percent IS NULL THEN lease.version ELSE lease.version + 1 END,
        CASE WHEN asked.percent IS NULL THEN lease.update_time ELSE clock_timestamp() END
    FROM (
        SELECT ($3::float8[])[n] AS duration, ($4::smallint[])[n] AS percent,
            ($5::text[])[n] AS message
        FROM width_bucket(lease.job_id, $1::uuid[]) AS n
    ) AS asked
)
WHERE job_id = ANY ($1::uuid[])
    -- width_bucket finds the array index of the job by bisection.
    AND lease_id = ($2::bigint[])[width_bucket(job_id, $1::uuid[])]
    AND worker_id = coalesce(($6::text[])[width_bucket(job_id, $1::uuid[])], worker_id)
RETURNING job_id, lease_id,
    extract(epoch FROM until - clock_timestamp())::float8 AS expires_in,
    cancel_request_time IS NOT NULL AS cancel_requested, cancel_reason, worker_id
