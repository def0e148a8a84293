-- Extends leases, and records progress where some is given (NULL percent keeps the last). The end
-- of an attempt's time is never passed.
-- $1 job_id, $2 lease_id, $3 duration (NULL for the lease's own), $4 percent, $5 message,
-- $6 worker_id (NULL for any)
UPDATE lease SET
    until = least(
        clock_timestamp() + coalesce(asked.duration, lease.duration) * interval '1 second',
        deadline),
    confirmed = true,
    progress_percent = coalesce(asked.percent, progress_percent),
    progress_message = CASE WHEN asked.percent IS NULL THEN progress_message ELSE asked.message END,
    version = CASE WHEN asked.percent IS NULL THEN version ELSE version + 1 END,
    update_time = CASE WHEN asked.percent IS NULL THEN update_time ELSE clock_timestamp() END
FROM unnest($1::uuid[], $2::bigint[], $3::float8[], $4::smallint[], $5::text[], $6::text[])
    AS asked (job_id, lease_id, duration, percent, message, worker_id)
WHERE lease.job_id = asked.job_id AND lease.lease_id = asked.lease_id
    AND lease.worker_id = coalesce(asked.worker_id, lease.worker_id)
RETURNING lease.job_id, lease.lease_id,
    extract(epoch FROM lease.until - clock_timestamp())::float8 AS expires_in,
    lease.cancel_request_time IS NOT NULL AS cancel_requested, lease.cancel_reason,
    lease.worker_id
